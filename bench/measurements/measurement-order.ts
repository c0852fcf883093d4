import type { Timing } from '../load/traffic-figures.js'
import type { PlainOutputs } from '../subjects/plain.js'
import type { SubjectName } from '../subjects/subjects.js'

/** Ways to run a model that are compared with each other. */
export const VARIANTS = [
  'lower-bound',
  'main-thread',
  'baseline-worker',
  'baseline-pool',
  'upper-bound',
  'upper-bound-nice-0',
  'runtime',
] as const
export type Variant = (typeof VARIANTS)[number]

/** Variants that callers send no requests to. */
export type UpperBound = 'upper-bound' | 'upper-bound-nice-0'
/** Variants that callers send requests to. */
export type TargetVariant = Exclude<Variant, UpperBound>

/** Callers that each send the next request once the last one has settled, or requests at a fixed rate. */
export type Traffic = { readonly callers: number } | { readonly ratePerSecond: number }

export interface TargetOrder {
  readonly subject: SubjectName
  /** Path of the model. */
  readonly source: string
  /** Artifact folder of the runtime. */
  readonly cacheDir: string
  /** Module that the runtime is imported from. */
  readonly library: string
  readonly variant: Variant
  /** Number of threads of the runtime, of the baseline pool and of the upper bound. */
  readonly threads: number
  /** Niceness of the threads of the upper bound: that of the runtime's replicas. */
  readonly niceIncrement: number
  /** `concurrentTasksPerWorker` of the baseline pool. */
  readonly tasksPerWorker: number
}

export interface MeasurementOrder extends TargetOrder, Timing {
  readonly traffic: Traffic
  /** Outputs of plain onnxruntime-node for each input; empty if no outputs are compared. */
  readonly references: readonly PlainOutputs[]
}

/** Returns true if `variant` is an upper bound, which has no callers. */
export function isUpperBound(variant: Variant): variant is UpperBound {
  return variant.startsWith('upper-bound')
}
