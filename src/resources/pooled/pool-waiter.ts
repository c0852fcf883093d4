import { type AbortFollower, follow, isTimeout, unfollow } from '../../async/shared-abort-listener.js'
import { errors, messageOf } from '../../errors/errors.js'
import type { Clock, Timer } from '../../platform/clock.js'

/** An attempt to get an item, begun for one caller. */
export interface Attempt<T> {
  /** When the making of an item began that has failed it; until then when the attempt began. */
  startedAtMs: number
  /** The caller that hears of its failure; undefined once that caller has an item or has left. */
  waiter: PoolWaiter<T> | undefined
}

/** One caller of `acquire`; settled once, by an item, its deadline, its signal or the end of the pool. */
export class PoolWaiter<T> implements AbortFollower {
  readonly promise: Promise<T>
  /** The attempt that is under way for this caller; undefined while there is no room for one. */
  attempt: Attempt<T> | undefined
  /** When it came, by `Clock.now`. */
  readonly sinceMs: number
  /** Attempts that have failed and were tried again. */
  retries = 0
  readonly #clock: Clock
  readonly #pool: string
  readonly #signal: AbortSignal | undefined
  readonly #onSettled: (waiter: PoolWaiter<T>) => void
  readonly #timer: Timer
  #resolve!: (item: T) => void
  #reject!: (error: Error) => void

  constructor(
    clock: Clock,
    pool: string,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    onSettled: (waiter: PoolWaiter<T>) => void,
  ) {
    this.#clock = clock
    this.sinceMs = clock.now()
    this.#pool = pool
    this.#signal = signal
    this.#onSettled = onSettled
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.#timer = clock.setTimeout(() => this.#expire(`${timeoutMs} ms`), timeoutMs)
    if (signal !== undefined) this.#follow(signal)
  }

  resolve(item: T): void {
    this.#settle()
    this.#resolve(item)
  }

  reject(error: Error): void {
    this.#settle()
    this.#reject(error)
  }

  /** Its signal has aborted. */
  aborted(reason: unknown): void {
    if (isTimeout(reason)) this.#expire('its signal', reason)
    else {
      const message = `the request for an item of pool ${this.#pool} was aborted by its signal`
      this.reject(new errors.ERR_ABORTED(message, { cause: reason }))
    }
  }

  /** An object may say that it is a signal, and be none. */
  #follow(signal: AbortSignal): void {
    try {
      follow(signal, this)
    } catch (cause) {
      const message = `the \`signal\` for an item of pool ${this.#pool} cannot be followed: ${messageOf(cause)}`
      this.reject(new errors.ERR_INVALID_OPTIONS(message, { cause }))
    }
  }

  #expire(limit: string, cause?: unknown): void {
    this.reject(
      new errors.ERR_DEADLINE_EXCEEDED(
        `pool ${this.#pool} had no item to give before the deadline (${limit}); give items back sooner, or raise \`max\``,
        { stage: 'queued', cause },
      ),
    )
  }

  #settle(): void {
    this.#clock.clear(this.#timer)
    if (this.#signal !== undefined) unfollow(this.#signal, this)
    if (this.attempt !== undefined) this.attempt.waiter = undefined
    this.#onSettled(this)
  }
}
