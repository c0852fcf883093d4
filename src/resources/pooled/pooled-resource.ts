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

/** An attempt that fails within this time tells how the server is now, in milliseconds. */
const TIMELY_MS = 200
/** How often an attempt that failed later is repeated for a caller. */
const MAX_RETRIES = 1

export interface PooledResourceStats {
  readonly min: number
  readonly max: number
  /** Items that are in use. */
  readonly used: number
  /** Items that are not. */
  readonly free: number
  /** Callers that wait for one. */
  readonly pending: number
}

/**
 * A resource that is a pool of items, for example of connections. Made by a type of
 * `pooledResourceType`; first come, first served.
 */
export class PooledResource<T> {
  readonly #clock: Clock
  readonly #name: string
  readonly #settings: PoolSettings
  readonly #logger: Logger
  readonly #items: ItemPool<T>
  readonly #used = new Map<T, Slot<T>>()
  readonly #queue = new Set<PoolWaiter<T>>()
  /** Items that are made for what they are needed for, never in the context of who happens to need one. */
  readonly #scope = new AsyncResource('tbcoin-engine.pool')
  /** Items that are being fetched, for callers or for a health check. */
  #fetching = 0
  /** Why no item could be fetched the last time that was tried. */
  #failure: Error | undefined
  #onAllBack: (() => void) | undefined
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
   * An item, to be given back with `release`; `use` does both.
   * @throws ERR_DEADLINE_EXCEEDED after `timeoutMs` (by default the pool's `acquireTimeoutMs`),
   * ERR_ABORTED, ERR_RESOURCE_INIT if an item cannot be made, ERR_RESOURCE_NOT_FOUND after the
   * cleanup, ERR_INVALID_OPTIONS.
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
   * Gives an item back. With `isBroken` it is destroyed.
   * @throws ERR_INVALID_OPTIONS for what is not an item in use: given back twice, perhaps.
   */
  release(item: T, options: ReleaseOptions = {}): void {
    const { isBroken } = parseOptions(releaseSchema, options, 'release')
    const slot = this.#used.get(item)
    if (slot !== undefined) this.#giveBack(slot, !isBroken)
    // A cleanup that could wait no longer has destroyed it.
    else if (this.#closing === undefined) {
      throw new errors.ERR_INVALID_OPTIONS(
        `release: that is no item in use of pool ${this.#name}; give each one back once`,
      )
    }
  }

  /**
   * Calls `fn` with an item and gives it back when that has settled. After an error the item is
   * validated first, and destroyed if it is broken; the caller does not wait for that.
   * @throws what `acquire` and `fn` throw
   */
  async use<R>(fn: (item: T) => R | PromiseLike<R>, options: AcquireOptions = {}): Promise<R> {
    const item = await this.acquire(options)
    const slot = this.#used.get(item) as Slot<T>
    try {
      const result = await fn(item)
      this.#giveBack(slot, true)
      return result
    } catch (error) {
      const returned = this.#items.validate(slot).then((isValid) => this.#giveBack(slot, isValid))
      this.#inBackground(returned, 'the return of an item')
      throw error
    }
  }

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
      // A start that fails is repeated by the resource's own `retry`.
      waiter.retries = MAX_RETRIES
      return this.#wait(waiter, signal)
    })
    const results = await Promise.allSettled(wanted)
    for (const result of results) if (result.status === 'fulfilled') this.release(result.value)
    const failed = results.find((result) => result.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  /**
   * @internal Whether an item can be had that `check` finds nothing wrong with; rejects with what
   * it throws. Items from before it destroys if they fail, for the server may have been restarted:
   * what counts is one that has just been made. A pool with all items in use is busy, not broken.
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
      // The failure of an item whose making began earlier tells nothing of the server now.
      if (slot === undefined) continue
      const isLast = (): boolean => slot.uses === 1 || signal.aborted || this.#closing !== undefined
      try {
        const isHealthy = (await untilAborted(signal, async () => check(slot.item))) !== false
        this.#giveBack(slot, isHealthy)
        if (isHealthy || isLast()) return isHealthy
      } catch (error) {
        this.#giveBack(slot, false)
        if (isLast()) throw error
      }
    }
  }

  /** @internal Waits up to `limitMs` for items in use, then destroys all. */
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

  /** Begins an attempt for every caller that waits without one, as far as there is room. */
  #serve(): void {
    for (const waiter of this.#queue) {
      if (!this.#hasRoom) return
      if (waiter.attempt !== undefined) continue
      const attempt: Attempt<T> = { startedAtMs: this.#clock.now(), waiter }
      waiter.attempt = attempt
      const served = this.#fetch(attempt).then(
        (slot) => this.#hand(slot, attempt),
        (error: Error) => this.#fail(error, attempt),
      )
      this.#inBackground(served, 'the hand-over of an item')
    }
  }

  /** Gives an item to the caller that has waited longest, whose own attempt goes to the one it was made for. */
  #hand(slot: Slot<T>, { waiter }: Attempt<T>): void {
    const [first] = this.#queue
    if (first === undefined) {
      this.#giveBack(slot, true)
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
   * Rejects the caller of an attempt that failed, unless the server may be back since: an attempt that
   * began before the caller came, or that took long to fail, tells nothing of it.
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

  /** An item, in use from now on; `#hasRoom` has been asked. */
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

  #giveBack(slot: Slot<T>, isUsable: boolean): void {
    if (this.#used.get(slot.item) !== slot) return
    this.#used.delete(slot.item)
    if (isUsable) this.#items.release(slot)
    else this.#items.discard(slot)
    if (this.#used.size === 0) this.#onAllBack?.()
    this.#serve()
  }

  async #close(limitMs: number): Promise<void> {
    for (const waiter of this.#queue) waiter.reject(this.#closed())
    this.#items.abortCreations(this.#closed())
    if (this.#used.size > 0) {
      const allBack = new Promise<void>((resolve) => {
        this.#onAllBack = resolve
      })
      await withTimeout(this.#clock, allBack, limitMs)
    }
    const stuck = [...this.#used.values()]
    if (stuck.length > 0) {
      this.#logger.warn({ items: stuck.length }, 'items in use are destroyed by the cleanup')
    }
    const closing = this.#items.close()
    for (const slot of stuck) this.#giveBack(slot, false)
    const failure = summarize(await closing, true)
    if (failure !== undefined) throw failure
  }

  #inBackground(work: Promise<unknown>, what: string): void {
    inBackground({ logger: this.#logger }, work, what)
  }

  #closed(): Error {
    return new errors.ERR_RESOURCE_NOT_FOUND(`pool ${this.#name} has been cleaned up, or is about to be`)
  }
}
