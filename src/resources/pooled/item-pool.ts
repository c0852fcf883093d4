import { Pool } from 'tarn'
import { withLimit } from '../../async/until-aborted.js'
import { errors, messageOf } from '../../errors/errors.js'
import type { Clock } from '../../platform/clock.js'
import type { Logger } from '../../telemetry/logger.js'
import type { PoolSettings } from './pool-options.js'

/** A value that disables tarn's own limits, which do not take callers and late items into account. */
const NEVER_MS = 2_147_483_647
const REAP_INTERVAL_MS = 1_000
const CREATE_RETRY_INTERVAL_MS = 10

/** An item of the pool. */
export interface Slot<T> {
  readonly item: T
  /** Number of times that it has been acquired. */
  uses: number
  /** True if it counts as valid, since it was just made. */
  isNew: boolean
}

/** The failure of an attempt to make an item. */
export class CreationFailure extends Error {
  /** Start of the attempt, by `Clock.now`. */
  readonly startedAtMs: number

  constructor(cause: unknown, startedAtMs: number) {
    super(messageOf(cause), { cause })
    this.startedAtMs = startedAtMs
  }
}

export interface ItemFunctions<T> {
  create(signal: AbortSignal): T | PromiseLike<T>
  destroy(item: T): unknown
  validate(item: T): boolean | PromiseLike<boolean>
}

/**
 * The items of one pool. tarn makes, validates and retires them. Callers must not take more than `max` items
 * at a time; their queue and deadlines are kept elsewhere.
 */
export class ItemPool<T> {
  readonly #clock: Clock
  readonly #name: string
  readonly #functions: ItemFunctions<T>
  readonly #settings: PoolSettings
  readonly #logger: Logger
  readonly #pool: Pool<Slot<T>>
  /** Slots whose item has not been destroyed. */
  readonly #live = new Set<Slot<T>>()
  readonly #creating = new Set<AbortController>()
  readonly #destroying = new Set<Promise<void>>()
  /** Errors of items that could not be destroyed, collected once the pool is closed. */
  #failures: Error[] | undefined

  constructor(
    clock: Clock,
    name: string,
    functions: ItemFunctions<T>,
    settings: PoolSettings,
    logger: Logger,
  ) {
    this.#clock = clock
    this.#name = name
    this.#functions = functions
    this.#settings = settings
    this.#logger = logger
    this.#pool = new Pool<Slot<T>>({
      // Slots instead of items, since tarn would wait for ever for an item that is falsy.
      create: () => this.#create(),
      destroy: (slot) => this.#destroy(slot),
      // tarn awaits the result, though its types do not say so.
      validate: ((slot: Slot<T>) => this.validate(slot)) as (slot: Slot<T>) => never,
      min: settings.min,
      max: settings.max,
      idleTimeoutMillis: settings.idleTimeoutMs === 0 ? NEVER_MS : Math.ceil(settings.idleTimeoutMs),
      reapIntervalMillis: REAP_INTERVAL_MS,
      acquireTimeoutMillis: NEVER_MS,
      createTimeoutMillis: NEVER_MS,
      destroyTimeoutMillis: NEVER_MS,
      // Otherwise tarn retries, and the caller never gets the error.
      propagateCreateError: true,
      createRetryIntervalMillis: CREATE_RETRY_INTERVAL_MS,
      log: (message) => logger.warn({}, message),
    })
  }

  /** The number of items, in use or idle. */
  get size(): number {
    return this.#live.size
  }

  /**
   * Resolves with a valid item, made now if there is none. Rejects with a CreationFailure, which may come
   * from an item whose creation began before the call.
   */
  async acquire(): Promise<Slot<T>> {
    const slot = await this.#pool.acquire().promise
    slot.uses += 1
    return slot
  }

  release(slot: Slot<T>): void {
    this.#pool.release(slot)
  }

  /** Returns an item that must not be used again, and destroys it. */
  discard(slot: Slot<T>): void {
    void this.#destroy(slot)
    // tarn cannot destroy a slot in use; it drops the slot when it validates it.
    this.#pool.release(slot)
  }

  async validate(slot: Slot<T>): Promise<boolean> {
    if (!this.#live.has(slot)) return false
    if (slot.isNew) {
      slot.isNew = false
      return true
    }
    const { validateTimeoutMs } = this.#settings
    const late = (): Error =>
      new errors.ERR_DEADLINE_EXCEEDED(`\`validate\` has not returned within ${validateTimeoutMs} ms`)
    try {
      return await withLimit(this.#clock, validateTimeoutMs, () => this.#functions.validate(slot.item), late)
    } catch (err) {
      this.#logger.warn({ err }, 'pool item destroyed: its validation failed')
      return false
    }
  }

  /** Aborts the creation of items; items that are still made are destroyed. */
  abortCreations(reason: Error): void {
    for (const controller of this.#creating) controller.abort(reason)
  }

  /** Destroys all items, once those in use have been released. Resolves with the failures. */
  async close(): Promise<readonly Error[]> {
    const failures: Error[] = []
    this.#failures = failures
    await this.#pool.destroy()
    await Promise.all(this.#destroying)
    return failures
  }

  async #create(): Promise<Slot<T>> {
    const controller = new AbortController()
    const startedAtMs = this.#clock.now()
    const { createTimeoutMs } = this.#settings
    this.#creating.add(controller)
    try {
      const item = await withLimit(
        this.#clock,
        createTimeoutMs,
        (signal) => this.#functions.create(signal),
        () => new errors.ERR_DEADLINE_EXCEEDED(`\`create\` has not returned within ${createTimeoutMs} ms`),
        (working) => void working.then((late) => this.#destroyItem(late)).catch(() => undefined),
        controller,
      )
      for (const slot of this.#live) {
        if (slot.item === item)
          throw new errors.ERR_RESOURCE_INIT(
            '`create` has returned an item that is in the pool already; it must make a new one each time',
          )
      }
      const slot: Slot<T> = { item, uses: 0, isNew: false }
      this.#live.add(slot)
      // Validated here instead of when it is acquired, since tarn would then make one item after another for
      // ever.
      if (!(await this.validate(slot))) {
        void this.#destroy(slot)
        throw new errors.ERR_RESOURCE_INIT('an item that was just made did not pass `validate`')
      }
      slot.isNew = true
      return slot
    } catch (cause) {
      throw new CreationFailure(cause, startedAtMs)
    } finally {
      this.#creating.delete(controller)
    }
  }

  async #destroy(slot: Slot<T>): Promise<void> {
    if (this.#live.delete(slot)) await this.#destroyItem(slot.item)
  }

  /** Destroys an item; never rejects. */
  async #destroyItem(item: T): Promise<void> {
    const { destroyTimeoutMs } = this.#settings
    const late = (): Error =>
      new errors.ERR_SHUTDOWN(`\`destroy\` has not returned within ${destroyTimeoutMs} ms; it was abandoned`)
    const ending = withLimit(this.#clock, destroyTimeoutMs, () => this.#functions.destroy(item), late).then(
      () => undefined,
      (cause) => {
        const failure = new errors.ERR_SHUTDOWN(
          `an item of pool ${this.#name} could not be destroyed: ${messageOf(cause)}`,
          { cause },
        )
        this.#failures?.push(failure)
        this.#logger.warn({ err: failure }, 'pool item could not be destroyed')
      },
    )
    this.#destroying.add(ending)
    await ending
    this.#destroying.delete(ending)
  }
}
