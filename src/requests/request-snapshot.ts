import type { RequestInfo, RequestRecord } from './request-record.js'
import type { RequestState } from './request-states.js'

/** Snapshot of one request. Fields that end in `Ms` are durations in milliseconds. */
export interface RequestSnapshot {
  /** Unique within its tracker, in the order in which requests began. */
  readonly id: number
  /** `predict`, or the kind that was passed to `begin`. */
  readonly kind: string
  readonly state: RequestState
  /** `id` of the request inside whose `run` this one began; undefined if there is none. */
  readonly parent: number | undefined
  /** Name of the requested model; undefined if the request is no prediction. */
  readonly model: string | undefined
  /** Label of the version that runs the request; undefined before it is resolved, or if it could not be. */
  readonly version: string | undefined
  /** The data that was passed to `begin`. */
  readonly info: RequestInfo | undefined
  /** `code` of the error with which the request ended; undefined if there is none. */
  readonly code: string | undefined
  /** Time at which the request began, in milliseconds since the epoch. */
  readonly receivedAt: number
  /** Time in the state `received`, in which the input is checked and a cold version is loaded. */
  readonly receivedMs: number
  /** Time in the state `queued`. */
  readonly queuedMs: number
  /** Time in the state `running`. */
  readonly runningMs: number
  /** Sum of the three: from the beginning of the request to its end, or to now if it is open. */
  readonly totalMs: number
}

/**
 * Returns a snapshot of the record.
 * @param nowMs is the current time by `Clock.now`; `originMs` converts it to milliseconds since the epoch.
 */
export function snapshotOf(record: RequestRecord, nowMs: number, originMs: number): RequestSnapshot {
  const { startedAtMs, queuedAtMs, runningAtMs } = record
  const endMs = record.settledAtMs ?? nowMs
  return {
    id: record.id,
    kind: record.kind,
    state: record.state,
    parent: record.parentId,
    model: record.model,
    version: record.version,
    info: record.info,
    code: record.code,
    receivedAt: originMs + startedAtMs,
    receivedMs: (queuedAtMs ?? runningAtMs ?? endMs) - startedAtMs,
    queuedMs: queuedAtMs === undefined ? 0 : (runningAtMs ?? endMs) - queuedAtMs,
    runningMs: runningAtMs === undefined ? 0 : endMs - runningAtMs,
    totalMs: endMs - startedAtMs,
  }
}
