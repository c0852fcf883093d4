import { stat } from 'node:fs/promises'
import { stampFrom } from '../../protocol/model-files.js'

/** A text that changes when a file is written or replaced, and the file's size. */
export interface FileStamp {
  readonly text: string
  readonly bytes: number
}

/** Returns the present stamp of a file. @throws Error if there is no such file. */
export async function stampOf(path: string): Promise<FileStamp> {
  const stats = await stat(path, { bigint: true })
  return { text: stampFrom(stats), bytes: Number(stats.size) }
}

/** Returns the stamps of all `paths`; undefined if one of them cannot be read. */
export async function stampsOf(paths: readonly string[]): Promise<readonly FileStamp[] | undefined> {
  try {
    return await Promise.all(paths.map(stampOf))
  } catch {
    return undefined
  }
}

/** Returns the total size of files in bytes; 0 if one of them is missing. */
export async function sizeOf(paths: readonly string[]): Promise<number> {
  return ((await stampsOf(paths)) ?? []).reduce((sum, { bytes }) => sum + bytes, 0)
}
