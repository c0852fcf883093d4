import type { RequestLedger } from './request-ledger.js'
import type { RequestRecord } from './request-record.js'
import { endStateOf, isOver, type RequestState } from './request-states.js'

/**
 * A request of the application's own, open until it is completed or failed.
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

  get id(): number {
    return this.#record.id
  }

  get kind(): string {
    return this.#record.kind
  }

  get state(): RequestState {
    return this.#record.state
  }

  /**
   * Marks it as running, unless it is, and calls `fn`: the predictions and other requests
   * that begin inside, also after an `await`, are its children. It returns what `fn`
   * returns and settles nothing.
   * @throws ERR_ILLEGAL_TRANSITION if it is over; and what `fn` throws.
   */
  run<T>(fn: () => T): T {
    if (this.state !== 'running') this.to('running')
    return this.#ledger.runIn(this.#record, fn)
  }

  /**
   * Moves to `state`; `error` is what led to it, for the listeners and its `code`.
   * @throws ERR_ILLEGAL_TRANSITION if `state` cannot follow the present one.
   */
  to(state: Exclude<RequestState, 'received'>, error?: unknown): void {
    this.#ledger.move(this.#record, state, this.#ledger.clock.now(), error)
  }

  /** @throws ERR_ILLEGAL_TRANSITION if it is over, or queued. */
  complete(): void {
    this.to('completed')
  }

  /**
   * Ends as the error tells: a missed deadline is `timed-out`, an abort `cancelled`, a
   * refusal `rejected` if it has not run yet, everything else `failed`.
   * @throws ERR_ILLEGAL_TRANSITION if it is over.
   */
  fail(error: unknown): void {
    this.to(endStateOf(error, this.state), error)
  }

  /** Fails if it is still open: whoever left its scope early has not completed it. */
  [Symbol.dispose](): void {
    if (!isOver(this.state)) this.to('failed')
  }
}
