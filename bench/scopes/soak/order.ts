import type { PlainOutputs } from '../../subjects/plain.js'
import type { SubjectName } from '../../subjects/subjects.js'

/** Model that is swapped between its two versions. */
export const SWAPPED: SubjectName = 'vad6'

export interface SoakOrder {
  readonly cacheDir: string
  readonly durationMs: number
  readonly sampleMs: number
  readonly swapMs: number
  /** Mean life of a replica. */
  readonly meanLifeMs: number
  /** Served models, with the sources and reference outputs of each version. */
  readonly models: readonly SoakModel[]
}

export interface SoakModel {
  readonly subject: SubjectName
  readonly sources: readonly string[]
  readonly ratePerSecond: number
  readonly references: readonly (readonly PlainOutputs[])[]
}

/** State of the process at one moment, and latency of the requests since the sample before. */
export interface SoakSample {
  readonly atMs: number
  readonly anonymousBytes: number
  readonly heapBytes: number
  readonly descriptors: number
  readonly threads: number
  readonly listeners: number
  readonly loopDelayP99Ms: number
  /** 99th percentile of the latency, by model. */
  readonly p99Ms: Readonly<Record<string, number>>
}

export interface SoakOutcome {
  readonly samples: readonly SoakSample[]
  readonly submitted: number
  readonly completed: number
  /** Number of rejected requests, by error code. */
  readonly rejected: Readonly<Record<string, number>>
  /** Number of requests that had not settled when the runtime was closed. */
  readonly open: number
  readonly compared: number
  readonly wrong: number
  readonly swaps: number
  /** Number of failed swaps, by error code. */
  readonly failedSwaps: Readonly<Record<string, number>>
  readonly replicaExits: number
}
