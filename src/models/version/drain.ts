import { errors } from '../../errors/errors.js'
import type { StuckReplica } from '../../pools/settings/stuck-replica.js'
import type { PoolEnding } from '../context/ending-pools.js'
import type { VersionRecord } from '../context/version-record.js'

/** The result of stopping a version. */
export interface DrainReport {
  /** Name of the model. */
  readonly name: string
  /** Label of the version. */
  readonly version: string
  /** Duration of the drain and the end of the threads. */
  readonly durationMs: number
  /** Number of requests that did not finish in time and were rejected. */
  readonly rejected: number
  /** Replicas whose run has not returned; their threads are abandoned, not terminated. */
  readonly stuck: readonly StuckReplica[]
}

/** Options of a drain. */
export interface DrainOptions {
  /** The pool ends after this promise settles; it admits no more requests from the beginning. */
  readonly after?: Promise<unknown>
  /** Time limit of the open requests. Default: `drainTimeoutMs`. */
  readonly timeoutMs?: number
  /** Returns the error for requests that are open at the limit. Default: `drainTimeout`. */
  readonly lateError?: (version: VersionRecord, timeoutMs: number) => Error
}

/** The result for a version without a pool. */
export const NOTHING_LEFT: PoolEnding = { rejected: 0, stuck: [] }

/** Returns the error for a request that did not finish before its version was stopped. */
export function drainTimeout({ label, subject }: VersionRecord, timeoutMs: number): Error {
  return new errors.ERR_DRAIN_TIMEOUT(
    `${label} was stopped before this request finished; it was drained for ${timeoutMs} ms (drainTimeoutMs)`,
    subject,
  )
}
