import type { LatencyFigures } from '../../harness/latency.js'
import type { SubjectName } from '../../subjects/subjects.js'

/** What works beside the HTTP server, in the server's process. */
export const LOADS = ['idle', 'bare', 'bare-nice', 'runtime', 'main'] as const
export type Load = (typeof LOADS)[number]

export interface LoadOrder {
  readonly load: Load
  readonly subject: SubjectName
  /** Path of its model. */
  readonly source: string
  /** Folder of artifacts, of the runtime. */
  readonly cacheDir: string
  readonly threads: number
  readonly callers: number
  /** Added to the niceness of the threads, except for the plain bare ones. */
  readonly niceIncrement: number
}

export interface LoadOutcome {
  /** Model runs finished while the pings came in. */
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
