import type { RuntimeOptions } from 'tbcoin-engine'

export interface PacksOrder {
  /** Path of the model. */
  readonly source: string
  /** Folder of artifacts. */
  readonly cacheDir: string
  /** What the input of a request takes. */
  readonly inputBytes: number
  /** Requests that are sent at once, again and again. */
  readonly callers: number
  readonly durationMs: number
  readonly options: Pick<RuntimeOptions, 'maxPackMs' | 'maxPackBytes'>
}

export interface PacksFigures {
  readonly perSecond: number
  /** Delay of the event loop. */
  readonly p50Ms: number
  readonly p99Ms: number
}
