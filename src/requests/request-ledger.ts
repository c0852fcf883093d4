import { AsyncLocalStorage } from 'node:async_hooks'
import type { Clock } from '../platform/clock.js'
import { illegalTransition } from '../state/transitions.js'
import { OpenRequests } from './open-requests.js'
import { RecentRequests } from './recent-requests.js'
import { type RecordKeeper, type RequestInfo, RequestRecord } from './request-record.js'
import {
  errorCodeOf,
  isOver,
  type OpenRequestState,
  REQUEST_TRANSITIONS,
  type RequestState,
} from './request-states.js'

/** Numbers of requests by state. */
export interface RequestCounts {
  /** Number of requests that have ever entered each state; `received` counts all of them. */
  readonly totals: Readonly<Record<RequestState, number>>
  /** Number of requests in each open state now. */
  readonly active: Readonly<Record<OpenRequestState, number>>
}

/** Receives the changes of records while the tracker has listeners. */
export interface LedgerListener {
  received(record: RequestRecord): void
  moved(record: RequestRecord, from: RequestState, nowMs: number): void
  settled(record: RequestRecord, nowMs: number, error: unknown): void
}

/** The records and counters of a tracker. Every request passes through here, so work that can wait is done elsewhere. */
export class RequestLedger implements RecordKeeper {
  readonly clock: Clock
  readonly open = new OpenRequests()
  readonly recent: RecentRequests
  /** Set only while the tracker has listeners, since it costs an asynchronous context for each request. */
  listener: LedgerListener | undefined
  #lastId = 0
  /** Stores an id instead of a record, so that an asynchronous context keeps no record alive. */
  readonly #current = new AsyncLocalStorage<number>()
  readonly #totals: Record<RequestState, number> = {
    received: 0,
    queued: 0,
    running: 0,
    completed: 0,
    failed: 0,
    'timed-out': 0,
    cancelled: 0,
    rejected: 0,
  }

  constructor(recent: number, clock: Clock) {
    this.clock = clock
    this.recent = new RecentRequests(recent)
  }

  /** Records a new request, a child of the one in whose `runIn` this is called. */
  begin(kind: string, model: string | undefined, info: RequestInfo | undefined): RequestRecord {
    this.#lastId += 1
    const record = new RequestRecord(
      this,
      this.clock.now(),
      this.#lastId,
      kind,
      model,
      info,
      this.#current.getStore(),
    )
    this.#totals.received += 1
    this.open.add(record)
    this.listener?.received(record)
    return record
  }

  /** Moves a record to the state `next` and informs the listener. @throws ERR_ILLEGAL_TRANSITION */
  move(record: RequestRecord, next: RequestState, nowMs: number, error?: unknown): void {
    const from = record.state
    if (!REQUEST_TRANSITIONS[from].includes(next)) {
      throw illegalTransition(REQUEST_TRANSITIONS, `request ${record.id} (${record.kind})`, from, next, {
        cause: error,
      })
    }
    record.state = next
    this.#totals[next] += 1
    if (next === 'queued') record.queuedAtMs = nowMs
    else if (next === 'running') record.runningAtMs = nowMs
    else this.#end(record, nowMs, error)
    this.listener?.moved(record, from, nowMs)
    if (!isOver(next)) return
    this.listener?.settled(record, nowMs, error)
    record.context = undefined
  }

  /** Calls `fn` and returns its result; requests that begin in it, also after an `await`, are children of the record. */
  runIn<T>(record: RequestRecord, fn: () => T): T {
    return this.#current.run(record.id, fn)
  }

  counts(): RequestCounts {
    const active: Record<OpenRequestState, number> = { received: 0, queued: 0, running: 0 }
    for (const { state } of this.open) active[state as OpenRequestState] += 1
    return { totals: { ...this.#totals }, active }
  }

  #end(record: RequestRecord, nowMs: number, error: unknown): void {
    record.settledAtMs = nowMs
    if (error !== undefined) record.code = errorCodeOf(error)
    this.open.remove(record)
    this.recent.add(record)
  }
}
