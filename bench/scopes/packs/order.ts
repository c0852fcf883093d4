import type { RuntimeOptions } from 'tbcoin-engine'

export interface PacksOrder {
  /** Path of the model. */
  readonly source: string
  /** Artifact folder of the runtime. */
  readonly cacheDir: string
  /** Size of the input of one request. */
  readonly inputBytes: number
  /** Number of requests that are sent at the same time, again and again. */
  readonly callers: number
  readonly durationMs: number
  readonly options: Pick<RuntimeOptions, 'maxPackMs' | 'maxPackBytes'>
}

export interface PacksFigures {
  readonly perSecond: number
  /** Median delay of the event loop. */
  readonly p50Ms: number
  /** 99th percentile of the delay of the event loop. */
  readonly p99Ms: number
}
