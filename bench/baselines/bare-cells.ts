import type { PlainInput } from '../subjects/plain.js'

/** Data that a bare thread starts with. */
export interface BareThreadData {
  readonly source: string
  readonly input: PlainInput
  readonly niceIncrement: number
  /** Shared counters: STOP, then from RUNS on the number of runs of each thread. */
  readonly cells: SharedArrayBuffer
  readonly index: number
}

export const STOP = 0
export const RUNS = 1
