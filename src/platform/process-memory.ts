import { readFile } from 'node:fs/promises'

export interface MemoryReading {
  /** Memory of this process, shared pages by their share (Pss); resident memory where Pss is not told. */
  readonly pssBytes: number
  /** Memory behind no file, which only goes back when it is freed. */
  readonly anonymousBytes: number
}

/** Reads what this process holds off `/proc/self/smaps_rollup`; resident memory where there is none. */
export async function readMemory(): Promise<MemoryReading> {
  try {
    const text = await readFile('/proc/self/smaps_rollup', 'latin1')
    return { pssBytes: field(text, 'Pss'), anonymousBytes: field(text, 'Anonymous') }
  } catch {
    const { rss } = process.memoryUsage()
    return { pssBytes: rss, anonymousBytes: rss }
  }
}

/** Returns the memory of another process behind no file; 0 where that is not told. */
export async function anonymousBytesOf(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'latin1').catch(() => '')
  return field(text, 'RssAnon')
}

function field(text: string, name: string): number {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)
  return Number(match?.[1] ?? 0) * 1024
}
