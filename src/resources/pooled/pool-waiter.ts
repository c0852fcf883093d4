import { type AbortFollower, follow, isTimeout, unfollow } from '../../async/abort-followers.js'
import { errors, messageOf } from '../../errors/errors.js'
import type { Clock, Timer } from '../../platform/clock.js'

/** An attempt to get an item, begun for one caller. */
export interface Attempt<T> {
  /** Start of the attempt, by `Clock.now`; after a failure, start of the creation of the item that failed. */
  startedAtMs: number
  /** The caller that a failure rejects; undefined once that caller has an item or has left. */
  waiter: PoolWaiter<T> | undefined
}

/** One caller of `acquire`, which an item, its deadline, its signal or the end of the pool settles. */
export class PoolWaiter<T> implements AbortFollower {
  readonly promise: Promise<T>
  /** The attempt that is under way for this caller; undefined while there is no room for one. */
  attempt: Attempt<T> | undefined
  /** Time at which the caller came, by `Clock.now`. */
  readonly sinceMs: number
  /** Number of failed attempts that were retried. */
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

  /** Rejects the caller because its signal has aborted. */
  aborted(reason: unknown): void {
    if (isTimeout(reason)) this.#expire('its signal', reason)
    else {
      const message = `the request for an item of pool ${this.#pool} was aborted by its signal`
      this.reject(new errors.ERR_ABORTED(message, { cause: reason }))
    }
  }

  /** Follows the signal; rejects the caller if the object is not a real signal. */
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
        `pool ${this.#pool} had no free item before the deadline (${limit}); release items sooner, or raise \`max\``,
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
