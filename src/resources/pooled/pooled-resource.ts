import { AsyncResource } from 'node:async_hooks'
import { untilAborted } from '../../async/until-aborted.js'
import { withTimeout } from '../../async/with-timeout.js'
import { parseOptions } from '../../config/parse-options.js'
import { errors, messageOf } from '../../errors/errors.js'
import type { Clock } from '../../platform/clock.js'
import { inBackground } from '../../telemetry/in-background.js'
import type { Logger } from '../../telemetry/logger.js'
import { summarize } from '../cleanup.js'
import { CreationFailure, type ItemFunctions, ItemPool, type Slot } from './item-pool.js'
import {
  type AcquireOptions,
  acquireSchema,
  type PoolSettings,
  type ReleaseOptions,
  releaseSchema,
} from './pool-options.js'
import { type Attempt, PoolWaiter } from './pool-waiter.js'

/** Time within which a failed attempt shows the present state of the server, in milliseconds. */
const TIMELY_MS = 200
/** Number of retries, for one caller, of attempts that failed later. */
const MAX_RETRIES = 1

/** Counts of a pool's items and callers. */
export interface PooledResourceStats {
  /** The option `min`. */
  readonly min: number
  /** The option `max`. */
  readonly max: number
  /** Number of items in use. */
  readonly used: number
  /** Number of idle items. */
  readonly free: number
  /** Number of callers that wait for an item. */
  readonly pending: number
}

/**
 * A resource that is a pool of items, for example of connections. Types made by `pooledResourceType` have
 * such resources. Callers get items in the order in which they came.
 */
export class PooledResource<T> {
  readonly #clock: Clock
  readonly #name: string
  readonly #settings: PoolSettings
  readonly #logger: Logger
  readonly #items: ItemPool<T>
  readonly #used = new Map<T, Slot<T>>()
  readonly #queue = new Set<PoolWaiter<T>>()
  /**
   * Async context in which items are made, so that they do not run in the context of the caller that waits
   * for one.
   */
  readonly #scope = new AsyncResource('tbcoin-engine.pool')
  /** Number of items that are being fetched, for callers or for a health check. */
  #fetching = 0
  /** The error of the last attempt to fetch an item; undefined if it succeeded. */
  #failure: Error | undefined
  #onAllReturned: (() => void) | undefined
  #closing: Promise<void> | undefined

  /** @internal */
  constructor(
    clock: Clock,
    name: string,
    functions: ItemFunctions<T>,
    settings: PoolSettings,
    logger: Logger,
  ) {
    this.#clock = clock
    this.#name = name
    this.#settings = settings
    this.#logger = logger
    this.#items = new ItemPool(clock, name, functions, settings, logger)
  }

  /**
   * Resolves with an item; return it with `release`. `use` does both.
   * @throws ERR_DEADLINE_EXCEEDED after `timeoutMs` (defaults to the pool's `acquireTimeoutMs`); ERR_ABORTED
   * if the signal aborts; ERR_RESOURCE_INIT if an item cannot be made; ERR_RESOURCE_NOT_FOUND after the
   * cleanup; ERR_INVALID_OPTIONS.
   */
  async acquire(options: AcquireOptions = {}): Promise<T> {
    const { timeoutMs = this.#settings.acquireTimeoutMs, signal } = parseOptions(
      acquireSchema,
      options,
      'acquire',
    )
    if (this.#closing !== undefined) throw this.#closed()
    const waiter = new PoolWaiter<T>(this.#clock, this.#name, timeoutMs, signal, (settled) =>
      this.#queue.delete(settled),
    )
    return this.#wait(waiter, signal)
  }

  /**
   * Returns an item to the pool, or destroys it if `isBroken` is true.
   * @throws ERR_INVALID_OPTIONS if `item` is not in use, for example because it was released before.
   */
  release(item: T, options: ReleaseOptions = {}): void {
    const { isBroken } = parseOptions(releaseSchema, options, 'release')
    const slot = this.#used.get(item)
    if (slot !== undefined) this.#putBack(slot, !isBroken)
    // During a cleanup, an unknown item may have been destroyed after the time limit.
    else if (this.#closing === undefined) {
      throw new errors.ERR_INVALID_OPTIONS(
        `release: the value is not an item in use of pool ${this.#name}; release each item once`,
      )
    }
  }

  /**
   * Calls `fn` with an item, and releases the item when the result has settled. After an error the item is
   * validated first, and destroyed if it is broken; the caller does not wait for that.
   * @throws the errors of `acquire` and `fn`
   */
  async use<R>(fn: (item: T) => R | PromiseLike<R>, options: AcquireOptions = {}): Promise<R> {
    const item = await this.acquire(options)
    const slot = this.#used.get(item) as Slot<T>
    try {
      const result = await fn(item)
      this.#putBack(slot, true)
      return result
    } catch (error) {
      const returned = this.#items.validate(slot).then((isValid) => this.#putBack(slot, isValid))
      this.#inBackground(returned, 'returning a pool item')
      throw error
    }
  }

  /** Returns the present counts of items and waiting callers. */
  stats(): PooledResourceStats {
    const { min, max } = this.#settings
    const used = this.#used.size
    return { min, max, used, free: this.#items.size - used, pending: this.#queue.size }
  }

  /** @internal Makes the `min` items. */
  async fill(signal: AbortSignal): Promise<void> {
    const wanted = Array.from({ length: this.#settings.min }, () => {
      const { acquireTimeoutMs } = this.#settings
      const waiter = new PoolWaiter<T>(this.#clock, this.#name, acquireTimeoutMs, signal, (left) =>
        this.#queue.delete(left),
      )
      // The resource's own `retry` repeats a failed start.
      waiter.retries = MAX_RETRIES
      return this.#wait(waiter, signal)
    })
    const results = await Promise.allSettled(wanted)
    for (const result of results) if (result.status === 'fulfilled') this.release(result.value)
    const failed = results.find((result) => result.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  /**
   * @internal Resolves with true if the pool has, or can make, an item that passes `check`; rejects with the
   * error of `check`. Older items that fail are destroyed, since the server may have been restarted: only the
   * check of a new item decides. A pool with all items in use counts as healthy.
   */
  async probe(check: (item: T) => unknown, signal: AbortSignal): Promise<boolean> {
    for (;;) {
      if (this.#closing !== undefined) throw this.#closed()
      if (!this.#hasRoom) {
        if (this.#failure === undefined) return true
        throw this.#failure
      }
      const sinceMs = this.#clock.now()
      const attempt: Attempt<T> = { startedAtMs: sinceMs, waiter: undefined }
      const slot = await this.#fetch(attempt)
        .catch((error: Error) => {
          if (attempt.startedAtMs < sinceMs && !signal.aborted) return undefined
          throw error
        })
        .finally(() => this.#serve())
      // An attempt that began earlier and failed does not show the present state of the server.
      if (slot === undefined) continue
      const isLast = (): boolean => slot.uses === 1 || signal.aborted || this.#closing !== undefined
      try {
        const isHealthy = (await untilAborted(signal, async () => check(slot.item))) !== false
        this.#putBack(slot, isHealthy)
        if (isHealthy || isLast()) return isHealthy
      } catch (error) {
        this.#putBack(slot, false)
        if (isLast()) throw error
      }
    }
  }

  /** @internal Waits up to `limitMs` for items in use, then destroys all items. */
  close(limitMs: number): Promise<void> {
    this.#closing ??= this.#close(limitMs)
    return this.#closing
  }

  get #hasRoom(): boolean {
    return this.#used.size + this.#fetching < this.#settings.max
  }

  #wait(waiter: PoolWaiter<T>, signal: AbortSignal | undefined): Promise<T> {
    if (!signal?.aborted) this.#queue.add(waiter)
    this.#serve()
    return waiter.promise
  }

  /** Begins an attempt for every caller that waits without one, while there is room. */
  #serve(): void {
    for (const waiter of this.#queue) {
      if (!this.#hasRoom) return
      if (waiter.attempt !== undefined) continue
      const attempt: Attempt<T> = { startedAtMs: this.#clock.now(), waiter }
      waiter.attempt = attempt
      const served = this.#fetch(attempt).then(
        (slot) => this.#deliver(slot, attempt),
        (error: Error) => this.#fail(error, attempt),
      )
      this.#inBackground(served, 'delivering a pool item')
    }
  }

  /**
   * Resolves the caller that has waited longest; the caller for which the item was made takes over that one's
   * attempt.
   */
  #deliver(slot: Slot<T>, { waiter }: Attempt<T>): void {
    const [first] = this.#queue
    if (first === undefined) {
      this.#putBack(slot, true)
      return
    }
    const { attempt } = first
    first.resolve(slot.item)
    if (waiter === undefined || waiter === first) return
    waiter.attempt = attempt
    if (attempt !== undefined) attempt.waiter = waiter
    this.#serve()
  }

  /**
   * Rejects the caller of an attempt that failed, unless the server may have recovered since: an attempt that
   * began before the caller came, or that took long to fail, does not show its present state.
   */
  #fail(error: Error, { startedAtMs, waiter }: Attempt<T>): void {
    if (waiter !== undefined) {
      waiter.attempt = undefined
      const isOlder = startedAtMs < waiter.sinceMs
      const isTimely = this.#clock.now() - startedAtMs < TIMELY_MS
      if (!isOlder && (isTimely || waiter.retries >= MAX_RETRIES)) waiter.reject(error)
      else if (!isOlder) waiter.retries += 1
    }
    this.#serve()
  }

  /** Resolves with an item, which is in use from then on. The caller has checked `#hasRoom`. */
  async #fetch(attempt?: Attempt<T>): Promise<Slot<T>> {
    this.#fetching += 1
    try {
      const slot = await this.#scope.runInAsyncScope(() => this.#items.acquire())
      this.#fetching -= 1
      this.#failure = undefined
      this.#used.set(slot.item, slot)
      return slot
    } catch (error) {
      this.#fetching -= 1
      const isCreation = error instanceof CreationFailure
      if (isCreation && attempt !== undefined) attempt.startedAtMs = error.startedAtMs
      const cause = isCreation ? error.cause : error
      this.#failure = new errors.ERR_RESOURCE_INIT(
        `pool ${this.#name} could not make an item: ${messageOf(cause)}`,
        { cause },
      )
      throw this.#failure
    }
  }

  #putBack(slot: Slot<T>, isUsable: boolean): void {
    if (this.#used.get(slot.item) !== slot) return
    this.#used.delete(slot.item)
    if (isUsable) this.#items.release(slot)
    else this.#items.discard(slot)
    if (this.#used.size === 0) this.#onAllReturned?.()
    this.#serve()
  }

  async #close(limitMs: number): Promise<void> {
    for (const waiter of this.#queue) waiter.reject(this.#closed())
    this.#items.abortCreations(this.#closed())
    if (this.#used.size > 0) {
      const allReturned = new Promise<void>((resolve) => {
        this.#onAllReturned = resolve
      })
      await withTimeout(this.#clock, allReturned, limitMs)
    }
    const stuck = [...this.#used.values()]
    if (stuck.length > 0) {
      this.#logger.warn({ items: stuck.length }, 'cleanup destroys pool items in use')
    }
    const closing = this.#items.close()
    for (const slot of stuck) this.#putBack(slot, false)
    const failure = summarize(await closing, true)
    if (failure !== undefined) throw failure
  }

  #inBackground(work: Promise<unknown>, what: string): void {
    inBackground({ logger: this.#logger }, work, what)
  }

  #closed(): Error {
    return new errors.ERR_RESOURCE_NOT_FOUND(`pool ${this.#name} has been cleaned up, or is being cleaned up`)
  }
}
