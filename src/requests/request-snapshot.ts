import type { RequestInfo, RequestRecord } from './request-record.js'
import type { RequestState } from './request-states.js'

/** One request as it was when it was asked for. Durations are in milliseconds. */
export interface RequestSnapshot {
  /** Unique within its tracker, in the order in which requests began. */
  readonly id: number
  /** `predict`, or what `begin` was given. */
  readonly kind: string
  readonly state: RequestState
  /** `id` of the request inside whose `run` it began. */
  readonly parent: number | undefined
  /** The model it was addressed to. */
  readonly model: string | undefined
  /** The version that was to answer; undefined before it is resolved, or if it could not be. */
  readonly version: string | undefined
  /** What `begin` was given. */
  readonly info: RequestInfo | undefined
  /** `code` of the error it ended with, where it has one. */
  readonly code: string | undefined
  /** Milliseconds since the epoch. */
  readonly receivedAt: number
  /** How long it was `received`: its input was being checked, or its version loaded. */
  readonly receivedMs: number
  /** How long it was `queued`. */
  readonly queuedMs: number
  /** How long it was `running`. */
  readonly runningMs: number
  /** The sum: from its beginning to its end, or till now if it is open. */
  readonly totalMs: number
}

/** `originMs` is that of the clock. */
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
