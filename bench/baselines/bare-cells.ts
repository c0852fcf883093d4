import type { PlainInput } from '../subjects/plain.js'

/** What a bare thread is born with. */
export interface BareThreadData {
  readonly source: string
  readonly input: PlainInput
  readonly niceIncrement: number
  /** Shared: STOP, and from RUNS on the runs of each thread. */
  readonly cells: SharedArrayBuffer
  readonly index: number
}

export const STOP = 0
export const RUNS = 1
