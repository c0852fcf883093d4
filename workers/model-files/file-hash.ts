import { createHash } from 'node:crypto'
import { closeSync, fsyncSync, openSync, readSync } from 'node:fs'
import type { NamedHash } from '../../src/protocol/builder/builder-messages.js'
import { assertWeights } from '../files/load-failure.js'
import { openRegular } from '../files/regular-file.js'
import { dataNamesIn, pathsIn } from './model-paths.js'

const CHUNK_BYTES = 4 * 2 ** 20

/** Returns the hashes of a model's file and of the data files that it names. */
export function digestOf(source: string): NamedHash[] {
  const names = dataNamesIn(source)
  const data = pathsIn(source, names)
  for (const path of data) assertWeights(source, path)
  const paths = [source, ...data]
  return paths.map((path, index) => ({ path, name: names[index - 1] ?? '', sha256: hashOf(path) }))
}

/** Returns the SHA-256 of a file in hexadecimal. @throws Error if it is not a regular file */
export function hashOf(path: string): string {
  const { file, bytes } = openRegular(path)
  try {
    const hash = createHash('sha256')
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
    // Reading stops at the size at the time of opening, since a growing file would never end.
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

/** Flushes a file, or a folder's list of files, to the disk. */
export function flush(path: string): void {
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
