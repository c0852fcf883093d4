import { errors } from '../../errors/errors.js'
import type { StuckReplica } from '../../pools/settings/stuck-replica.js'
import type { PoolEnding } from '../context/ending-pools.js'
import type { VersionRecord } from '../context/version-record.js'

export interface DrainReport {
  readonly name: string
  readonly version: string
  readonly durationMs: number
  /** Requests that were not answered in time and were rejected. */
  readonly rejected: number
  /** Replicas whose run has not returned; they are left to themselves. */
  readonly stuck: readonly StuckReplica[]
}

export interface DrainOptions {
  /** The pool is ended after this; it admits nothing more from the beginning. */
  readonly after?: Promise<unknown>
  /** Default: `drainTimeoutMs`. */
  readonly timeoutMs?: number
  /** Makes the error of the requests that are left then; default: `drainTimeout`. */
  readonly lateError?: (version: VersionRecord, timeoutMs: number) => Error
}

/** The end of a version that has no pool. */
export const NOTHING_LEFT: PoolEnding = { rejected: 0, stuck: [] }

/** Returns the error of a request that was not answered before its version was stopped. */
export function drainTimeout({ label, subject }: VersionRecord, timeoutMs: number): Error {
  return new errors.ERR_DRAIN_TIMEOUT(
    `${label} was being stopped and this request was not answered within ${timeoutMs} ms (drainTimeoutMs)`,
    subject,
  )
}
