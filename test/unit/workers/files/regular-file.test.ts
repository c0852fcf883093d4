import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { externalData } from '../../../../models/synthetic/graphs.js'
import { weightsAt } from '../../../../models/synthetic/hostile-graphs.js'
import { tempFolder } from '../../../../models/synthetic/temp-folder.js'
import { openRegular, refuseSpecialFile } from '../../../../workers/files/regular-file.js'
import { digestOf, hashOf } from '../../../../workers/model-files/file-hash.js'
import { readGraph } from '../../../../workers/onnx-graph/file/read-graph.js'

const isPosix = process.platform !== 'win32'
/** All functions that read a file. */
const reads = [openRegular, refuseSpecialFile, hashOf, readGraph, digestOf]

it('a regular file is opened with its size, also through a link', () => {
  using folder = tempFolder()
  const path = join(folder.path, 'file')
  writeFileSync(path, 'four')
  const link = join(folder.path, 'link')
  if (isPosix) symlinkSync(path, link)
  for (const each of isPosix ? [path, link] : [path]) {
    const { file, bytes } = openRegular(each)
    closeSync(file)
    expect(bytes).toBe(4)
    expect(() => refuseSpecialFile(each)).not.toThrow()
  }
  expect(() => refuseSpecialFile(join(folder.path, 'nothing'))).not.toThrow()
  expect(() => openRegular(join(folder.path, 'nothing'))).toThrow('ENOENT')
})

it.runIf(isPosix)('a pipe, a socket, a device and a folder are refused, also through links', async () => {
  using folder = tempFolder()
  const at = (name: string): string => join(folder.path, name)
  execFileSync('mkfifo', [at('pipe')])
  const server = createServer().listen(at('socket'))
  await once(server, 'listening')
  const kinds = { '/dev/zero': 'a device', [at('pipe')]: 'a pipe', [at('socket')]: 'a socket' }
  for (const [path, kind] of Object.entries({ ...kinds, [folder.path]: 'a folder' })) {
    const link = at(`link to ${kind}`)
    symlinkSync(path, link)
    for (const read of reads) {
      expect(() => read(path)).toThrow(`${path} is ${kind}`)
      expect(() => read(link)).toThrow(`${link} is ${kind}`)
    }
  }
  symlinkSync(at('loop'), at('loop'))
  for (const read of reads) expect(() => read(at('loop'))).toThrow('ELOOP')
  server.close()
})

it.runIf(isPosix)('the content of a model whose weights are no regular file is not read', () => {
  using folder = tempFolder()
  const at = (name: string): string => join(folder.path, name)
  execFileSync('mkfifo', [at('pipe')])
  symlinkSync('/dev/zero', at('zero'))
  for (const [location, kind] of [
    ['pipe', 'a pipe'],
    ['zero', 'a device'],
  ] as const) {
    writeFileSync(at('model.onnx'), weightsAt(location))
    expect(() => digestOf(at('model.onnx'))).toThrow(`${at(location)} is ${kind}`)
  }
})

it.runIf(isPosix)('weights outside of the folder of their model are not read', () => {
  using folder = tempFolder()
  const path = join(folder.path, 'model.onnx')
  for (const location of ['../../../../../../../../dev/zero', '/dev/zero']) {
    writeFileSync(path, weightsAt(location))
    expect(digestOf(path).map((file) => file.path)).toEqual([path])
  }
})

it('the content of a model includes its file and the files that it names', () => {
  using folder = tempFolder()
  const { model, data, dataFile } = externalData()
  const path = join(folder.path, 'model.onnx')
  writeFileSync(path, model)
  writeFileSync(join(folder.path, dataFile), data)
  const files = digestOf(path)
  expect(files.map((file) => file.path)).toEqual([path, join(folder.path, dataFile)])
  expect(files.map(({ sha256 }) => sha256)).toEqual(files.map((file) => hashOf(file.path)))
})

it.runIf(process.platform === 'linux')('no more of a file is read than its size when it was opened', () => {
  // The file has a size of 0 and still has content.
  expect(readFileSync('/proc/self/status').length).toBeGreaterThan(0)
  using folder = tempFolder()
  const empty = join(folder.path, 'empty')
  writeFileSync(empty, '')
  expect(hashOf('/proc/self/status')).toBe(hashOf(empty))
})
