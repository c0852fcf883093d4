import { createHash } from 'node:crypto'
import { closeSync, fsyncSync, openSync, readSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { FileHash } from '../src/protocol/builder-messages.js'
import { externalFiles } from './onnx-graph/external-files.js'
import { readGraph } from './onnx-graph/read-graph.js'

const CHUNK_BYTES = 4 * 2 ** 20

/** A model's file and those it names. */
export function digestOf(source: string): FileHash[] {
  return [source, ...filesNamedIn(source)].map((path) => ({ path, sha256: hashOf(path) }))
}

export function hashOf(path: string): string {
  return withFile(path, (file) => {
    const hash = createHash('sha256')
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
    for (let read = readSync(file, chunk); read > 0; read = readSync(file, chunk)) {
      hash.update(chunk.subarray(0, read))
    }
    return hash.digest('hex')
  })
}

/** Has the file, or the folder's list of files, written to the disk. */
export function flush(path: string): void {
  withFile(path, fsyncSync)
}

function filesNamedIn(source: string): string[] {
  try {
    return externalFiles(readGraph(source)).map((name) => resolve(dirname(source), name))
  } catch {
    // What is wrong with it, onnxruntime says better.
    return []
  }
}

function withFile<T>(path: string, use: (file: number) => T): T {
  const file = openSync(path, 'r')
  try {
    return use(file)
  } finally {
    closeSync(file)
  }
}
