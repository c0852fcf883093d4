import { readFile } from 'node:fs/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

export interface MemoryReading {
  /** Proportional set size: shared pages by their share; resident memory where the system does not tell. */
  readonly pssBytes: number
  /** Memory behind no file; resident memory likewise. */
  readonly anonymousBytes: number
  /** Nobody else's, with or without a file behind it; resident memory likewise. */
  readonly privateBytes: number
  readonly isResident: boolean
}

/** What this process holds, after the garbage of the JavaScript heap has gone. */
export async function readMemory(): Promise<MemoryReading> {
  await collectGarbage()
  try {
    const text = await readFile('/proc/self/smaps_rollup', 'latin1')
    return {
      pssBytes: field(text, 'Pss'),
      anonymousBytes: field(text, 'Anonymous'),
      privateBytes: field(text, 'Private_Clean') + field(text, 'Private_Dirty'),
      isResident: false,
    }
  } catch {
    const { rss } = process.memoryUsage()
    return { pssBytes: rss, anonymousBytes: rss, privateBytes: rss, isResident: true }
  }
}

function field(text: string, name: string): number {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)
  return Number(match?.[1] ?? 0) * 1024
}

/** Twice, since what a finaliser lets go of is only found the second time. */
async function collectGarbage(): Promise<void> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  for (let round = 0; round < 2; round += 1) {
    collect()
    await new Promise((resolve) => setImmediate(resolve))
  }
}
