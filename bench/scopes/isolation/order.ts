import type { Timing, TrafficFigures } from '../../measurements/stretch-order.js'
import type { PlainOutputs } from '../../subjects/plain.js'
import type { SubjectName } from '../../subjects/subjects.js'

/** What works beside the model that is asked. */
export const NEIGHBOURS = ['nothing', 'bare-one', 'bare-nice', 'bare', 'deep', 'deep-one'] as const
export type Neighbour = (typeof NEIGHBOURS)[number]

export interface IsolationOrder extends Timing {
  readonly beside: Neighbour
  /** Path of the iris model, which is asked. */
  readonly source: string
  readonly references: readonly PlainOutputs[]
  readonly ratePerSecond: number
  readonly neighbour: SubjectName
  readonly neighbourSource: string
  /** Folder of artifacts. */
  readonly cacheDir: string
  /** Requests that wait for the neighbour at all times. */
  readonly depth: number
  readonly threads: number
  readonly niceIncrement: number
}

export interface IsolationOutcome extends TrafficFigures {
  /** Runs of the neighbour while the other model was asked. */
  readonly neighbourPerSecond: number
  /** Of the neighbour, the smaller of what it was before and after; 0 without a queue. */
  readonly waiting: number
}
