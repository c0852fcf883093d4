import { Pool } from 'tarn'
import { withLimit } from '../../async/until-aborted.js'
import { errors, messageOf } from '../../errors/errors.js'
import type { Clock } from '../../platform/clock.js'
import type { Logger } from '../../telemetry/logger.js'
import type { PoolSettings } from './pool-options.js'

/** tarn's own limits are out of the way: they know neither who waits nor what is late. */
const NEVER_MS = 2_147_483_647
const REAP_INTERVAL_MS = 1_000
const CREATE_RETRY_INTERVAL_MS = 10

/** One item's place in the pool. */
export interface Slot<T> {
  readonly item: T
  /** How often it has been handed out. */
  uses: number
  /** It has been validated when it was made, and not been handed out since. */
  isNew: boolean
}

/** The failure of an attempt to make an item. */
export class CreationFailure extends Error {
  /** When the attempt began, by `Clock.now`. */
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
 * The items of one pool, over tarn, which makes, validates and retires them. Who waits for
 * how long is not its business: nobody may take more than `max` at a time.
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
  /** Items that could not be destroyed, from the moment somebody wants to know. */
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
      // A slot and not the item: tarn waits for ever for an item that is falsy.
      create: () => this.#create(),
      destroy: (slot) => this.#destroy(slot),
      // tarn awaits the answer, its types do not say so.
      validate: ((slot: Slot<T>) => this.validate(slot)) as (slot: Slot<T>) => never,
      min: settings.min,
      max: settings.max,
      idleTimeoutMillis: settings.idleTimeoutMs === 0 ? NEVER_MS : Math.ceil(settings.idleTimeoutMs),
      reapIntervalMillis: REAP_INTERVAL_MS,
      acquireTimeoutMillis: NEVER_MS,
      createTimeoutMillis: NEVER_MS,
      destroyTimeoutMillis: NEVER_MS,
      // Otherwise it goes on trying, and its caller never hears why.
      propagateCreateError: true,
      createRetryIntervalMillis: CREATE_RETRY_INTERVAL_MS,
      log: (message) => logger.warn({}, message),
    })
  }

  /** How many items there are, in use or not. */
  get size(): number {
    return this.#live.size
  }

  /**
   * Resolves with a valid item, made now if there is none. Rejects with a CreationFailure, which may be
   * that of an item whose making began before the call.
   */
  async acquire(): Promise<Slot<T>> {
    const slot = await this.#pool.acquire().promise
    slot.uses += 1
    return slot
  }

  release(slot: Slot<T>): void {
    this.#pool.release(slot)
  }

  /** Gives back an item that is not to be used again. */
  discard(slot: Slot<T>): void {
    void this.#destroy(slot)
    // tarn cannot destroy what is in use; it drops the slot when it validates it.
    this.#pool.release(slot)
  }

  async validate(slot: Slot<T>): Promise<boolean> {
    if (!this.#live.has(slot)) return false
    if (slot.isNew) {
      slot.isNew = false
      return true
    }
    const { validateTimeoutMs } = this.#settings
    const late = (): Error => new errors.ERR_DEADLINE_EXCEEDED(`no answer within ${validateTimeoutMs} ms`)
    try {
      return await withLimit(this.#clock, validateTimeoutMs, () => this.#functions.validate(slot.item), late)
    } catch (err) {
      this.#logger.warn({ err }, 'an item could not be validated and is destroyed')
      return false
    }
  }

  /** Ends what is being made; what comes all the same is destroyed. */
  abortCreations(reason: Error): void {
    for (const controller of this.#creating) controller.abort(reason)
  }

  /** Destroys every item, once those in use have been given back. Resolves with what went wrong. */
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
        (working) => void working.then((late) => this.#end(late)).catch(() => undefined),
        controller,
      )
      for (const slot of this.#live) {
        if (slot.item === item)
          throw new errors.ERR_RESOURCE_INIT('`create` has returned an item that is in the pool already')
      }
      const slot: Slot<T> = { item, uses: 0, isNew: false }
      this.#live.add(slot)
      // Here and not when it is handed out: tarn would make one after another, for ever.
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
    if (this.#live.delete(slot)) await this.#end(slot.item)
  }

  /** Destroys an item; never rejects. */
  async #end(item: T): Promise<void> {
    const { destroyTimeoutMs } = this.#settings
    const late = (): Error =>
      new errors.ERR_SHUTDOWN(
        `\`destroy\` has not returned within ${destroyTimeoutMs} ms; it is left to itself`,
      )
    const ending = withLimit(this.#clock, destroyTimeoutMs, () => this.#functions.destroy(item), late).then(
      () => undefined,
      (cause) => {
        const failure = new errors.ERR_SHUTDOWN(
          `an item of pool ${this.#name} could not be destroyed: ${messageOf(cause)}`,
          { cause },
        )
        this.#failures?.push(failure)
        this.#logger.warn({ err: failure }, 'an item could not be destroyed')
      },
    )
    this.#destroying.add(ending)
    await ending
    this.#destroying.delete(ending)
  }
}
