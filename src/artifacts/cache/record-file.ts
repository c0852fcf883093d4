import { createHash, randomUUID } from 'node:crypto'
import { type FileHandle, open, readFile, rename, rm } from 'node:fs/promises'
import type { z } from 'zod'
import { isFlushRefused } from '../../platform/is-flush-refused.js'

/** Reads a file that `writeRecord` wrote; undefined if there is none, or if its content has changed. */
export async function readRecord<T extends z.ZodType>(
  path: string,
  schema: T,
): Promise<z.output<T> | undefined> {
  try {
    const text = await readFile(path, 'utf8')
    const end = text.indexOf('\n')
    const json = text.slice(end + 1)
    if (checksum(json) !== text.slice(0, end)) return undefined
    const parsed = schema.safeParse(JSON.parse(json))
    return parsed.success ? parsed.data : undefined
  } catch {
    return undefined
  }
}

/** Writes `value` into a file, whole or not at all. */
export async function writeRecord(path: string, value: unknown): Promise<void> {
  const json = `${JSON.stringify(value)}\n`
  const unfinished = `${path}.${randomUUID()}`
  try {
    const file = await open(unfinished, 'wx', 0o600)
    try {
      await file.writeFile(`${checksum(json)}\n${json}`)
      await flush(file)
    } finally {
      await file.close()
    }
    await rename(unfinished, path)
  } catch (error) {
    await rm(unfinished, { force: true })
    throw error
  }
}

/**
 * Flushes a file to the disk. A file system that refuses this is accepted: a record that a crash damages
 * counts as missing, since its checksum is wrong.
 */
async function flush(file: FileHandle): Promise<void> {
  try {
    await file.sync()
  } catch (error) {
    if (!isFlushRefused(error)) throw error
  }
}

function checksum(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
