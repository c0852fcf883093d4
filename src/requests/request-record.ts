import type { AsyncResource } from 'node:async_hooks'
import type { TrackedRequest } from '../pools/queue/run-request.js'
import { endStateOf, type RequestState } from './request-states.js'

/** Application data of a request. It is stored by reference until the request is forgotten, so it should be small. */
export type RequestInfo = Readonly<Record<string, unknown>>

/** Moves records from state to state, and refuses illegal moves. */
export interface RecordKeeper {
  move(record: RequestRecord, next: RequestState, nowMs: number, error?: unknown): void
}

/**
 * The record of one request. It outlives the request among the recent ones, so it holds no reference to inputs,
 * outputs or promises. Times are by `Clock.now`.
 */
export class RequestRecord implements TrackedRequest {
  readonly id: number
  readonly kind: string
  readonly model: string | undefined
  readonly info: RequestInfo | undefined
  readonly parentId: number | undefined
  readonly startedAtMs: number
  /** Label of the version that runs the request; undefined until it is resolved. */
  version: string | undefined = undefined
  state: RequestState = 'received'
  queuedAtMs: number | undefined = undefined
  runningAtMs: number | undefined = undefined
  settledAtMs: number | undefined = undefined
  /** `code` of the error with which the request ended. */
  code: string | undefined = undefined
  /** Asynchronous context of the caller; defined only if the tracker had listeners when the request began. */
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
