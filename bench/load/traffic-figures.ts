import type { LatencyFigures } from '../harness/latency.js'

export interface Timing {
  /** Minimum warm-up; a closed loop extends it until its rate is stable. */
  readonly warmUpMs: number
  readonly durationMs: number
}

/** Figures of one window of time. */
export interface WindowFigures {
  readonly perSecond: number
  /** Rate of each second of the window. */
  readonly slices: readonly number[]
  /** Processor time of all threads, in cores. */
  readonly cores: number
  /** Share of the time that the main thread was on a processor; NaN if the system does not report it. */
  readonly mainBusy: number
  /** Share of the time that the event loop was not waiting. */
  readonly mainUtilisation: number
  readonly loopDelayP99Ms: number
}

export interface TrafficFigures extends WindowFigures {
  readonly latency: LatencyFigures
  /** Number of requests that were rejected. */
  readonly rejected: number
  readonly checks: OutputChecks
}

/** Number of outputs that were compared with their references, and of those that differed. */
export interface OutputChecks {
  readonly compared: number
  readonly wrong: number
}
