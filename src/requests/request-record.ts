import type { AsyncResource } from 'node:async_hooks'
import type { TrackedRequest } from '../pools/queue/run-request.js'
import { endStateOf, type RequestState } from './request-states.js'

/** A small record of the caller's; kept as it is given, also among the recent requests. */
export type RequestInfo = Readonly<Record<string, unknown>>

/** Makes the moves of records, and refuses illegal ones. */
export interface RecordKeeper {
  move(record: RequestRecord, next: RequestState, nowMs: number, error?: unknown): void
}

/**
 * What is known of one request. It outlives the request among the recent ones, so it
 * refers to no input, output or promise. Times are by `Clock.now`.
 */
export class RequestRecord implements TrackedRequest {
  readonly id: number
  readonly kind: string
  readonly model: string | undefined
  readonly info: RequestInfo | undefined
  readonly parentId: number | undefined
  readonly startedAtMs: number
  /** Known once it is resolved. */
  version: string | undefined = undefined
  state: RequestState = 'received'
  queuedAtMs: number | undefined = undefined
  runningAtMs: number | undefined = undefined
  settledAtMs: number | undefined = undefined
  /** Of the error it ended with. */
  code: string | undefined = undefined
  /** Its caller's; there is one only if somebody listened when it began. */
  context: AsyncResource | undefined = undefined
  /** Neighbours among the open requests. */
  older: RequestRecord | undefined = undefined
  newer: RequestRecord | undefined = undefined
  readonly #keeper: RecordKeeper

  constructor(
    keeper: RecordKeeper,
    startedAtMs: number,
    id: number,
    kind: string,
    model: string | undefined,
    info: RequestInfo | undefined,
    parentId: number | undefined,
  ) {
    this.#keeper = keeper
    this.id = id
    this.kind = kind
    this.model = model
    this.info = info
    this.parentId = parentId
    this.startedAtMs = startedAtMs
  }

  queued(nowMs: number): void {
    this.#keeper.move(this, 'queued', nowMs)
  }

  running(nowMs: number): void {
    this.#keeper.move(this, 'running', nowMs)
  }

  settled(error: unknown, nowMs: number): void {
    const end = error === undefined ? 'completed' : endStateOf(error, this.state)
    this.#keeper.move(this, end, nowMs, error)
  }
}
