import { stat } from 'node:fs/promises'

/** Of clocks that count in seconds, and of those that count finer. */
const COARSE_MS = 2_000
const FINE_MS = 50

/** What changes when a file is written or replaced. */
export interface FileStamp {
  readonly text: string
  readonly bytes: number
  /** Whether a change from now on is sure to change the stamp: its last one is long enough ago. */
  readonly isSettled: boolean
}

/** @throws Error if there is no such file. */
export async function stampOf(path: string): Promise<FileStamp> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
  const isCoarse = ctimeNs % 1_000_000_000n === 0n
  const ageMs = Date.now() - Number(ctimeNs / 1_000_000n)
  return {
    text: [dev, ino, size, mtimeNs, ctimeNs].join(':'),
    bytes: Number(size),
    isSettled: ageMs > (isCoarse ? COARSE_MS : FINE_MS),
  }
}

/** The stamps of all, or undefined if one cannot be had. */
export async function stampsOf(paths: readonly string[]): Promise<readonly FileStamp[] | undefined> {
  try {
    return await Promise.all(paths.map(stampOf))
  } catch {
    return undefined
  }
}
