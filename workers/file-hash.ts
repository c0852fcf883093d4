import { createHash } from 'node:crypto'
import { closeSync, fsyncSync, openSync, readSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { FileHash } from '../src/protocol/builder-messages.js'
import { externalFiles } from './onnx-graph/external-files.js'
import { readGraph } from './onnx-graph/read-graph.js'
import { openRegular } from './regular-file.js'

const CHUNK_BYTES = 4 * 2 ** 20

/** A model's file and those it names. */
export function digestOf(source: string): FileHash[] {
  return [source, ...filesNamedIn(source)].map((path) => ({ path, sha256: hashOf(path) }))
}

/** @throws Error for anything but a regular file. */
export function hashOf(path: string): string {
  const { file, bytes } = openRegular(path)
  try {
    const hash = createHash('sha256')
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
    // Not beyond the size that it was opened with: a file that grows would never be over.
    for (let left = bytes; left > 0; ) {
      const read = readSync(file, chunk, 0, Math.min(left, CHUNK_BYTES), null)
      if (read === 0) break
      hash.update(chunk.subarray(0, read))
      left -= read
    }
    return hash.digest('hex')
  } finally {
    closeSync(file)
  }
}

/** Has the file, or the folder's list of files, written to the disk. */
export function flush(path: string): void {
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

/** Absolute paths of the files that a model names; none if it cannot be read. */
export function filesNamedIn(source: string): string[] {
  try {
    return externalFiles(readGraph(source)).map((name) => resolve(dirname(source), name))
  } catch {
    // What is wrong with it, onnxruntime says better.
    return []
  }
}
