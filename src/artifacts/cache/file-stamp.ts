import { stat } from 'node:fs/promises'
import { stampFrom } from '../../protocol/model-files.js'

/** What changes when a file is written or replaced. */
export interface FileStamp {
  readonly text: string
  readonly bytes: number
}

/** @throws Error if there is no such file. */
export async function stampOf(path: string): Promise<FileStamp> {
  const stats = await stat(path, { bigint: true })
  return { text: stampFrom(stats), bytes: Number(stats.size) }
}

/** The stamps of all, or undefined if one cannot be had. */
export async function stampsOf(paths: readonly string[]): Promise<readonly FileStamp[] | undefined> {
  try {
    return await Promise.all(paths.map(stampOf))
  } catch {
    return undefined
  }
}

/** Returns what files take together; 0 if one of them is not there. */
export async function sizeOf(paths: readonly string[]): Promise<number> {
  return ((await stampsOf(paths)) ?? []).reduce((sum, { bytes }) => sum + bytes, 0)
}
