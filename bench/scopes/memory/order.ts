import type { LatencyFigures } from '../../harness/latency.js'
import type { PlainInput } from '../../subjects/plain.js'

/** The runtime, with a cache that has the artifact, and threads that each load the file for themselves. */
export const KEEPERS = ['runtime', 'naive'] as const
export type Keeper = (typeof KEEPERS)[number]

interface MemoryOrder {
  readonly keeper: Keeper
  readonly input: PlainInput
  readonly cacheDir: string
}

/** Loads and unloads one model. */
export interface HoldOrder extends MemoryOrder {
  readonly source: string
  readonly replicas: number
  readonly rounds: number
}

export interface HoldOutcome {
  /** From the call to where every replica can answer, when the process has loaded nothing yet. */
  readonly firstReadyMs: number
  /** And of each round after that. */
  readonly readyMs: readonly number[]
  /** With every replica having run, in the first round. */
  readonly heldPssBytes: number
  /** Behind no file, before anything was loaded: what one load or another takes once and for all is not in it. */
  readonly anonymousBytesAtStart: number
  /** The same one second after the end of the last round. */
  readonly anonymousBytesAtEnd: number
  /** Behind no file, or nobody else's: before the first round. */
  readonly privateBytesBefore: number
  /** The same one second after the end of each round. */
  readonly privateBytesAfter: readonly number[]
}

/** Swaps two versions again and again. */
export interface SwapsOrder extends MemoryOrder {
  readonly sources: readonly [string, string]
  readonly swaps: number
  readonly callers: number
}

export interface SwapsOutcome {
  /** After each swap, with its old version gone. */
  readonly pssBytes: readonly number[]
  readonly answered: number
  readonly lost: number
}

/** What is done beside a small model: by as many threads as there are cores, or by one, so that a core is free. */
export const BESIDE = ['nothing', 'bare', 'bare-one', 'runtime', 'runtime-one', 'naive', 'naive-one'] as const
export type Beside = (typeof BESIDE)[number]

/** Asks a small model while that is done. */
export interface BesideOrder extends Omit<MemoryOrder, 'keeper'> {
  readonly beside: Beside
  readonly small: string
  readonly smallInput: PlainInput
  readonly sources: readonly [string, string]
  readonly ratePerSecond: number
  readonly durationMs: number
}

export interface BesideOutcome {
  readonly latency: LatencyFigures
  readonly refused: number
  /** Loads and swaps that were done meanwhile. */
  readonly changes: number
}

/** Asks a model as it is and its artifact in turn, in one process. */
export interface RateOrder {
  readonly source: string
  readonly cacheDir: string
  readonly inputs: readonly Record<string, unknown>[]
  readonly callers: number
  readonly turns: number
  readonly turnMs: number
}

export interface RateOutcome {
  readonly form: string
  /** Answers a second, of each turn. */
  readonly original: readonly number[]
  readonly artifact: readonly number[]
  /** Answers that are not the same. */
  readonly differing: number
}
