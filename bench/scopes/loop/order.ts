import type { LatencyFigures } from '../../harness/latency.js'
import type { SubjectName } from '../../subjects/subjects.js'

/** Loads beside the HTTP server, in the process of the server. */
export const LOADS = ['idle', 'bare', 'bare-nice', 'runtime', 'main'] as const
export type Load = (typeof LOADS)[number]

export interface LoadOrder {
  readonly load: Load
  readonly subject: SubjectName
  /** Path of the model. */
  readonly source: string
  /** Artifact folder of the runtime. */
  readonly cacheDir: string
  readonly threads: number
  readonly callers: number
  /** Niceness of the threads of every load except `bare`. */
  readonly niceIncrement: number
}

export interface LoadOutcome {
  /** Number of model runs while the pings came in. */
  readonly runs: number
  readonly durationMs: number
}

export interface PingOrder {
  readonly port: number
  readonly durationMs: number
  readonly everyMs: number
}

export interface PingOutcome {
  readonly latency: LatencyFigures
  readonly failed: number
}
