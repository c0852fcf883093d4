import type { RequestLedger } from './request-ledger.js'
import type { RequestRecord } from './request-record.js'
import { endStateOf, isOver, type RequestState } from './request-states.js'

/**
 * A request that the application began with `requests.begin()`. It is open until it is completed or failed.
 *
 * ```ts
 * using order = requests.begin('transaction', { orderId: 7 })
 * await order.run(() => work())
 * order.complete()
 * ```
 */
export class RequestHandle implements Disposable {
  readonly #ledger: RequestLedger
  readonly #record: RequestRecord

  /** @internal */
  constructor(ledger: RequestLedger, record: RequestRecord) {
    this.#ledger = ledger
    this.#record = record
  }

  /** Id of the request, unique within its tracker. */
  get id(): number {
    return this.#record.id
  }

  /** The kind that was passed to `begin`. */
  get kind(): string {
    return this.#record.kind
  }

  /** Current state of the request. */
  get state(): RequestState {
    return this.#record.state
  }

  /**
   * Moves the request to `running`, unless it is there already, calls `fn` and returns its result. Predictions and
   * other requests that begin inside `fn`, also after an `await`, are children of this request. It does not settle
   * the request.
   * @throws ERR_ILLEGAL_TRANSITION if the request is over, and any error of `fn`
   */
  run<T>(fn: () => T): T {
    if (this.state !== 'running') this.to('running')
    return this.#ledger.runIn(this.#record, fn)
  }

  /**
   * Moves the request to `state`.
   * @param error is the cause of an end; listeners get it, and snapshots its `code`.
   * @throws ERR_ILLEGAL_TRANSITION if `state` cannot follow the current one
   */
  to(state: Exclude<RequestState, 'received'>, error?: unknown): void {
    this.#ledger.move(this.#record, state, this.#ledger.clock.now(), error)
  }

  /** Moves the request to `completed`. @throws ERR_ILLEGAL_TRANSITION if it is over or queued */
  complete(): void {
    this.to('completed')
  }

  /**
   * Ends the request in the state that matches `error`: `timed-out` for a missed deadline, `cancelled` for an abort,
   * `rejected` for a refusal if it has not run yet, and `failed` for all other errors.
   * @throws ERR_ILLEGAL_TRANSITION if it is over
   */
  fail(error: unknown): void {
    this.to(endStateOf(error, this.state), error)
  }

  /** Moves the request to `failed` if it is still open, since code that leaves the scope early has not completed it. */
  [Symbol.dispose](): void {
    if (!isOver(this.state)) this.to('failed')
  }
}
