import type { PlainOutputs } from '../../subjects/plain.js'
import type { SubjectName } from '../../subjects/subjects.js'

/** The model that is swapped between its two versions. */
export const SWAPPED: SubjectName = 'vad6'

export interface SoakOrder {
  readonly cacheDir: string
  readonly durationMs: number
  readonly sampleMs: number
  readonly swapMs: number
  /** The mean life of a replica, in milliseconds. */
  readonly meanLifeMs: number
  /** Each model: where its versions lie, how many requests a second it gets, and the answers of each version. */
  readonly models: readonly SoakModel[]
}

export interface SoakModel {
  readonly subject: SubjectName
  readonly sources: readonly string[]
  readonly ratePerSecond: number
  readonly references: readonly (readonly PlainOutputs[])[]
}

/** The process at one moment, and the requests since the moment before. */
export interface SoakSample {
  readonly atMs: number
  readonly anonymousBytes: number
  readonly heapBytes: number
  readonly descriptors: number
  readonly threads: number
  readonly listeners: number
  readonly loopDelayP99Ms: number
  /** By model. */
  readonly p99Ms: Readonly<Record<string, number>>
}

export interface SoakOutcome {
  readonly samples: readonly SoakSample[]
  readonly submitted: number
  readonly answered: number
  /** By error code. */
  readonly rejected: Readonly<Record<string, number>>
  /** Requests that had no answer when the runtime was closed. */
  readonly open: number
  readonly compared: number
  readonly wrong: number
  readonly swaps: number
  readonly failedSwaps: Readonly<Record<string, number>>
  readonly deaths: number
}
