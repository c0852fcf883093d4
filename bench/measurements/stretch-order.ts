import type { LatencyFigures } from '../harness/latency.js'
import type { PlainOutputs } from '../subjects/plain.js'
import type { SubjectName } from '../subjects/subjects.js'

/** The ways to run a model that are measured beside each other. */
export const VARIANTS = ['floor', 'raw', 'worker', 'hand', 'ceiling', 'ceiling-nice-0', 'runtime'] as const
export type Variant = (typeof VARIANTS)[number]

/** Callers that each send the next request when answered, or requests at a rate whatever is answered. */
export type Traffic = { readonly callers: number } | { readonly ratePerSecond: number }

export interface TargetOrder {
  readonly subject: SubjectName
  /** Path of the model. */
  readonly source: string
  /** Folder of artifacts, of the runtime. */
  readonly cacheDir: string
  /** What the runtime is imported from. */
  readonly library: string
  readonly variant: Variant
  /** Threads of a pool, and of the ceiling. */
  readonly threads: number
  /** Of the ceiling: that of the runtime's replicas. */
  readonly niceIncrement: number
  /** `concurrentTasksPerWorker` of the hand-written pool. */
  readonly tasksPerWorker: number
}

export interface Timing {
  /** At least; callers that wait for each answer go on until their rate is stable. */
  readonly warmUpMs: number
  readonly durationMs: number
}

export interface StretchOrder extends TargetOrder, Timing {
  readonly traffic: Traffic
  /** What plain onnxruntime-node answers to each input; empty where nothing is compared. */
  readonly references: readonly PlainOutputs[]
}

/** What one window of time showed. */
export interface WindowFigures {
  readonly perSecond: number
  /** The same of each second. */
  readonly slices: readonly number[]
  /** Processor time of all threads, in cores. */
  readonly cores: number
  /** Share of the time that the main thread was on a processor; NaN where the system does not tell. */
  readonly mainBusy: number
  /** Share of the time that the event loop was not waiting. */
  readonly mainUtilisation: number
  readonly loopDelayP99Ms: number
}

export interface TrafficFigures extends WindowFigures {
  readonly latency: LatencyFigures
  /** Requests that were refused. */
  readonly refused: number
  readonly checks: Checks
}

/** Answers that were compared with their references, and those that were not the same. */
export interface Checks {
  readonly compared: number
  readonly wrong: number
}
