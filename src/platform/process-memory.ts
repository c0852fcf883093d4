import { readFile } from 'node:fs/promises'

/** The memory of this process at one moment. */
export interface MemoryReading {
  /**
   * Memory of this process in bytes, with shared pages divided among the processes that share them (Pss); resident
   * memory where the system does not report Pss.
   */
  readonly pssBytes: number
  /** Memory in bytes that is not backed by a file and goes back only when it is freed. */
  readonly anonymousBytes: number
}

/** Reads the memory of this process from `/proc/self/smaps_rollup`; resident memory where that file is missing. */
export async function readMemory(): Promise<MemoryReading> {
  try {
    const text = await readFile('/proc/self/smaps_rollup', 'latin1')
    return { pssBytes: field(text, 'Pss'), anonymousBytes: field(text, 'Anonymous') }
  } catch {
    const { rss } = process.memoryUsage()
    return { pssBytes: rss, anonymousBytes: rss }
  }
}

/** Returns the bytes of another process that are not backed by a file; 0 where the system does not report them. */
export async function anonymousBytesOf(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'latin1').catch(() => '')
  return field(text, 'RssAnon')
}

function field(text: string, name: string): number {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)
  return Number(match?.[1] ?? 0) * 1024
}
