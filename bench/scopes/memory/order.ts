import type { LatencyFigures } from '../../harness/latency.js'
import type { PlainInput } from '../../subjects/plain.js'

/** The runtime, whose cache has the artifact, and a pool whose threads each load the file. */
export const KEEPERS = ['runtime', 'naive'] as const
export type Keeper = (typeof KEEPERS)[number]

interface MemoryOrder {
  readonly keeper: Keeper
  readonly input: PlainInput
  readonly cacheDir: string
}

/** Order to load and unload one model. */
export interface HoldOrder extends MemoryOrder {
  readonly source: string
  readonly replicas: number
  readonly rounds: number
}

export interface HoldOutcome {
  /** Time until every replica is ready, for the first load of the process. */
  readonly firstReadyMs: number
  /** Time until every replica is ready, for each later round. */
  readonly readyMs: readonly number[]
  /** Memory of the first round, once every replica has run. */
  readonly heldPssBytes: number
  /** Anonymous memory before the first load, without one-time allocations of loads. */
  readonly anonymousBytesAtStart: number
  /** Anonymous memory one second after the last round. */
  readonly anonymousBytesAtEnd: number
  /** Private memory before the first counted round. */
  readonly privateBytesBefore: number
  /** Private memory one second after each round. */
  readonly privateBytesAfter: readonly number[]
}

/** Order to swap two versions again and again. */
export interface SwapsOrder extends MemoryOrder {
  readonly sources: readonly [string, string]
  readonly swaps: number
  readonly callers: number
}

export interface SwapsOutcome {
  /** Memory after each swap, once the old version has stopped. */
  readonly pssBytes: readonly number[]
  readonly completed: number
  readonly lost: number
}

/** Loads beside a small model, with one thread per core or with one thread (`-one`), which leaves a core free. */
export const BESIDE = ['nothing', 'bare', 'bare-one', 'runtime', 'runtime-one', 'naive', 'naive-one'] as const
export type Beside = (typeof BESIDE)[number]

/** Order to send requests to a small model beside one of these loads. */
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
  readonly rejected: number
  /** Number of loads, swaps and unloads during the measurement. */
  readonly changes: number
}

/** Order to send requests to a model and to its artifact in turn, in one process. */
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
  /** Requests per second of each turn. */
  readonly original: readonly number[]
  /** Requests per second of each turn. */
  readonly artifact: readonly number[]
  /** Number of inputs for which the outputs differ. */
  readonly differing: number
}
