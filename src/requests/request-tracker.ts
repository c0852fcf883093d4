import { AsyncResource } from 'node:async_hooks'
import { EventEmitter } from 'node:events'
import { z } from 'zod'
import { Outbox } from '../async/outbox.js'
import { parseOptions } from '../config/parse-options.js'
import { errors } from '../errors/errors.js'
import { type Clock, systemClock } from '../platform/clock.js'
import { Announcer } from '../telemetry/announcer.js'
import { Emitter } from '../telemetry/emitter.js'
import { createLogger, type Logger, takeLogger } from '../telemetry/logger.js'
import { RequestHandle } from './request-handle.js'
import { type LedgerListener, type RequestCounts, RequestLedger } from './request-ledger.js'
import type { RequestInfo, RequestRecord } from './request-record.js'
import { type RequestSnapshot, snapshotOf } from './request-snapshot.js'
import type { RequestState } from './request-states.js'

const optionsSchema = z.strictObject({
  /** Number of settled requests to remember; 0 disables it. Default: 100. */
  recent: z.number().int().min(0).max(1_000_000).default(100),
})

/** Options of a tracker. */
export interface RequestTrackerOptions extends z.input<typeof optionsSchema> {
  /** Logger for listeners that throw, for example the host's pino logger. Default: a logger on stderr. */
  logger?: Logger
}

/**
 * Events of a tracker. Listeners run in the asynchronous context of the request's caller, provided that the tracker had
 * listeners when the request began.
 */
export interface RequestTrackerEvents {
  /** Emitted when a request begins. */
  received: [request: RequestSnapshot]
  /** Emitted when a request has left the state `from`. */
  transition: [request: RequestSnapshot, from: RequestState]
  /** Emitted when a request is over, with the error if there was one. */
  settled: [request: RequestSnapshot, error: unknown]
}

const EVENTS = { received: true, transition: true, settled: true } as const
const NAMES = Object.keys(EVENTS) as (keyof RequestTrackerEvents)[]

/** Tracks all open requests, counts requests by state, and remembers the last settled ones. */
export class RequestTracker extends Emitter<RequestTrackerEvents> {
  readonly #clock: Clock
  readonly #ledger: RequestLedger
  readonly #announcer: Announcer<RequestTrackerEvents>
  /** Postpones calls of listeners while a pool operation holds it, until the operation is over. @internal */
  readonly outbox = new Outbox()
  /** Asynchronous context for events of requests that began without listeners, whose callers' contexts are not known. */
  readonly #scope = new AsyncResource('tbcoin-engine.requests')

  /** @throws ERR_INVALID_OPTIONS */
  constructor(options: RequestTrackerOptions = {}, clock: Clock = systemClock) {
    super(EVENTS)
    this.#clock = clock
    const [logger, rest] = takeLogger(options, 'RequestTracker')
    this.#ledger = new RequestLedger(parseOptions(optionsSchema, rest, 'RequestTracker').recent, clock)
    this.#announcer = new Announcer<RequestTrackerEvents>(
      clock,
      this,
      logger ?? createLogger('tbcoin-engine', 'info'),
    )
    this.#followListeners()
  }

  /**
   * Begins a request of the application. It is a child of the request in whose `run` this is called.
   * @param kind is a non-empty name that snapshots show.
   * @param info is stored by reference until the request is forgotten, so it should be small.
   * @throws ERR_INVALID_OPTIONS
   */
  begin(kind: string, info?: RequestInfo): RequestHandle {
    if (typeof kind !== 'string' || kind === '') {
      throw new errors.ERR_INVALID_OPTIONS('begin: the kind of a request must be a non-empty string')
    }
    if (info !== undefined && (typeof info !== 'object' || info === null)) {
      throw new errors.ERR_INVALID_OPTIONS('begin: the info of a request must be an object, or be omitted')
    }
    return new RequestHandle(this.#ledger, this.#ledger.begin(kind, undefined, info))
  }

  /** Begins the record of a prediction. @internal */
  receive(model: string): RequestRecord {
    // Callers without types may pass any value as the name, even a tensor, which must not be remembered.
    return this.#ledger.begin('predict', typeof model === 'string' ? model : undefined, undefined)
  }

  /** Returns the open requests, oldest first. */
  active(): RequestSnapshot[] {
    const nowMs = this.#clock.now()
    return Array.from(this.#ledger.open, (record) => this.#snapshotOf(record, nowMs))
  }

  /** Returns at most `limit` of the requests that were settled last, newest first. */
  recent(limit = Number.POSITIVE_INFINITY): RequestSnapshot[] {
    return this.#ledger.recent.list(limit).map((record) => this.#snapshotOf(record, 0))
  }

  /** Returns the number of requests in each state, in total and now. */
  counts(): RequestCounts {
    return this.#ledger.counts()
  }

  override removeAllListeners(event?: string | symbol): this {
    // The listeners of `#followListeners` must stay.
    for (const name of NAMES) {
      if (event === undefined || event === name) super.removeAllListeners(name)
    }
    return this
  }

  /**
   * Sets the ledger's listener while the tracker has listeners. Six calls of `listenerCount` for each request would take
   * 30 ns instead, half of what all other tracking takes.
   */
  #followListeners(): void {
    const listener: LedgerListener = {
      received: (record) => {
        record.context = new AsyncResource('tbcoin-engine.request')
        this.#emitLater(record, 'received', () => [this.#snapshotOf(record, record.startedAtMs)])
      },
      moved: (record, from, nowMs) => {
        this.#emitLater(record, 'transition', () => [this.#snapshotOf(record, nowMs), from])
      },
      settled: (record, nowMs, error) => {
        this.#emitLater(record, 'settled', () => [this.#snapshotOf(record, nowMs), error])
      },
    }
    const { on } = EventEmitter.prototype
    on.call(this, 'newListener', (event: keyof RequestTrackerEvents) => {
      if (NAMES.includes(event)) this.#ledger.listener = listener
    })
    on.call(this, 'removeListener', () => {
      if (NAMES.every((event) => this.listenerCount(event) === 0)) this.#ledger.listener = undefined
    })
  }

  #snapshotOf(record: RequestRecord, nowMs: number): RequestSnapshot {
    return snapshotOf(record, nowMs, this.#clock.originMs)
  }

  #emitLater<K extends keyof RequestTrackerEvents>(
    record: RequestRecord,
    event: K,
    payload: () => RequestTrackerEvents[K],
  ): void {
    if (this.listenerCount(event) === 0) return
    // Both are read now, since the record may have moved on when the listeners are called.
    const context = record.context ?? this.#scope
    const args = payload()
    this.outbox.post(() => context.runInAsyncScope(() => this.#announcer.emit(event, ...args)))
  }
}
