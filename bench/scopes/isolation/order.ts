import type { Timing, TrafficFigures } from '../../load/traffic-figures.js'
import type { PlainOutputs } from '../../subjects/plain.js'
import type { SubjectName } from '../../subjects/subjects.js'

/** Loads beside the model that receives the requests. */
export const NEIGHBOURS = ['nothing', 'bare-one', 'bare-nice', 'bare', 'deep', 'deep-one'] as const
export type Neighbour = (typeof NEIGHBOURS)[number]

export interface IsolationOrder extends Timing {
  readonly beside: Neighbour
  /** Path of the iris model, which receives the requests. */
  readonly source: string
  readonly references: readonly PlainOutputs[]
  readonly ratePerSecond: number
  readonly neighbour: SubjectName
  readonly neighbourSource: string
  /** Artifact folder of the runtime. */
  readonly cacheDir: string
  /** Number of requests that wait for the neighbour at all times. */
  readonly depth: number
  readonly threads: number
  readonly niceIncrement: number
}

export interface IsolationOutcome extends TrafficFigures {
  /** Run rate of the neighbour during the measurement. */
  readonly neighbourPerSecond: number
  /** Number of requests that waited for the neighbour: the smaller of before and after; 0 without a queue. */
  readonly waiting: number
}
