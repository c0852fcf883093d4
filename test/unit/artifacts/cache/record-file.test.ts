import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { z } from 'zod'
import { tempFolder } from '../../../../models/synthetic/temp-folder.js'
import { readRecord, writeRecord } from '../../../../src/artifacts/cache/record-file.js'

const schema = z.strictObject({ answer: z.number() })

it('a record is read back as it was written, and its write leaves no other file behind', async () => {
  using folder = tempFolder()
  const path = join(folder.path, 'record')
  await writeRecord(path, { answer: 42 })
  await writeRecord(path, { answer: 43 })
  expect(await readRecord(path, schema)).toEqual({ answer: 43 })
  expect(readdirSync(folder.path)).toEqual(['record'])
})

it('a record that was truncated or has any changed byte reads as missing', async () => {
  using folder = tempFolder()
  const path = join(folder.path, 'record')
  await writeRecord(path, { answer: 42 })
  const whole = readFileSync(path)
  for (const index of whole.keys()) {
    const damaged = Buffer.from(whole)
    damaged[index] = (damaged[index] as number) ^ 1
    writeFileSync(path, damaged)
    expect(await readRecord(path, schema)).toBeUndefined()
    writeFileSync(path, whole.subarray(0, index))
    expect(await readRecord(path, schema)).toBeUndefined()
  }
})

it('a missing record and a record of another kind read as missing', async () => {
  using folder = tempFolder()
  const path = join(folder.path, 'record')
  expect(await readRecord(path, schema)).toBeUndefined()
  await writeRecord(path, { answer: 'forty-two' })
  expect(await readRecord(path, schema)).toBeUndefined()
})

it('a record is written where flushing to the disk is not permitted, and not written where flushing fails', async () => {
  using folder = tempFolder()
  const path = join(folder.path, 'record')
  const sample = await open(join(folder.path, 'sample'), 'w')
  const prototype = Object.getPrototypeOf(sample) as FileHandle
  await sample.close()
  const failWith = (code: string): void => {
    vi.spyOn(prototype, 'sync').mockRejectedValue(Object.assign(new Error(code), { code }))
  }
  try {
    for (const code of ['ERR_ACCESS_DENIED', 'EINVAL']) {
      failWith(code)
      await writeRecord(path, { answer: 42 })
      expect(await readRecord(path, schema)).toEqual({ answer: 42 })
    }
    for (const code of ['EIO', 'ENOSPC', 'EDQUOT']) {
      failWith(code)
      await expect(writeRecord(path, { answer: 43 })).rejects.toMatchObject({ code })
      expect(await readRecord(path, schema)).toEqual({ answer: 42 })
    }
  } finally {
    vi.restoreAllMocks()
  }
})

it('a write that fails leaves no file behind and rejects with the reason', async () => {
  using folder = tempFolder()
  await expect(writeRecord(join(folder.path, 'missing', 'record'), {})).rejects.toMatchObject({
    code: 'ENOENT',
  })
  expect(readdirSync(folder.path)).toEqual([])
})
