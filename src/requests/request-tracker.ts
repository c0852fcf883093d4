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
  /** How many settled requests are remembered; 0 is none. */
  recent: z.number().int().min(0).max(1_000_000).default(100),
})

export interface RequestTrackerOptions extends z.input<typeof optionsSchema> {
  /** Where listeners that throw are logged, for example the host's pino logger; by default on stderr. */
  logger?: Logger
}

/** What a tracker emits, in the context of the request's caller if somebody listened when it began. */
export interface RequestTrackerEvents {
  /** A request has begun. */
  received: [request: RequestSnapshot]
  /** A request has moved on from that state. */
  transition: [request: RequestSnapshot, from: RequestState]
  /** A request is over; the error is what led to it, if there was one. */
  settled: [request: RequestSnapshot, error: unknown]
}

const EVENTS = { received: true, transition: true, settled: true } as const
const NAMES = Object.keys(EVENTS) as (keyof RequestTrackerEvents)[]

/** Knows every request that is open, counts all, and remembers the last ones. */
export class RequestTracker extends Emitter<RequestTrackerEvents> {
  readonly #clock: Clock
  readonly #ledger: RequestLedger
  readonly #announcer: Announcer<RequestTrackerEvents>
  /** @internal Pools hold it during their operations: the listeners are called when these are over. */
  readonly outbox = new Outbox()
  /** For the events of requests that began when nobody listened: their callers' contexts are not known. */
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
   * Begins a request of the application's own; a child of the one in whose `run` this is called.
   * `info` is kept as it is given until the request is forgotten, so it should be small.
   * @throws ERR_INVALID_OPTIONS
   */
  begin(kind: string, info?: RequestInfo): RequestHandle {
    if (typeof kind !== 'string' || kind === '') {
      throw new errors.ERR_INVALID_OPTIONS('begin: the kind of a request is a string, and not an empty one')
    }
    if (info !== undefined && (typeof info !== 'object' || info === null)) {
      throw new errors.ERR_INVALID_OPTIONS('begin: the info of a request is an object, or left out')
    }
    return new RequestHandle(this.#ledger, this.#ledger.begin(kind, undefined, info))
  }

  /** @internal A prediction, from the moment it is asked for. */
  receive(model: string): RequestRecord {
    // What callers without types pass must not be remembered: it might be a tensor.
    return this.#ledger.begin('predict', typeof model === 'string' ? model : undefined, undefined)
  }

  /** The requests that are open, oldest first. */
  active(): RequestSnapshot[] {
    const nowMs = this.#clock.now()
    return Array.from(this.#ledger.open, (record) => this.#snapshotOf(record, nowMs))
  }

  /** The requests that were settled last, newest first; `limit` of them at most. */
  recent(limit = Number.POSITIVE_INFINITY): RequestSnapshot[] {
    return this.#ledger.recent.list(limit).map((record) => this.#snapshotOf(record, 0))
  }

  counts(): RequestCounts {
    return this.#ledger.counts()
  }

  override removeAllListeners(event?: string | symbol): this {
    // Not those of `#followListeners`.
    for (const name of NAMES) {
      if (event === undefined || event === name) super.removeAllListeners(name)
    }
    return this
  }

  /** Asking `listenerCount` instead, six times a request, takes 30 ns: half of what all the rest takes. */
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
    // Both as they are now: by the time of the call the record may have moved on.
    const context = record.context ?? this.#scope
    const args = payload()
    this.outbox.post(() => context.runInAsyncScope(() => this.#announcer.tell(event, ...args)))
  }
}
