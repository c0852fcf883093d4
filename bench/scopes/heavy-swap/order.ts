import type { LatencyFigures } from '../../harness/latency.js'
import type { SubjectName } from '../../subjects/subjects.js'

export interface HeavySwapOrder {
  readonly subject: SubjectName
  readonly source: string
  readonly cacheDir: string
  readonly callers: number
  readonly swaps: number
}

export interface HeavySwapOutcome {
  readonly completed: number
  /** Latency of requests that were open during a swap, from its call until the old version had stopped. */
  readonly during: LatencyFigures
  /** Latency of all other requests. */
  readonly between: LatencyFigures
  /** Time from the call to the promotion. */
  readonly toPromote: LatencyFigures
  /** Time from the call until the old version had stopped. */
  readonly toDrained: LatencyFigures
}
