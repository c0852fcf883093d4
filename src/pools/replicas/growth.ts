import { Waiters } from '../../async/waiters.js'
import type { Clock, Timer } from '../../platform/clock.js'

/** The set of replicas that grows. */
export interface GrowingSet {
  /** Number of replicas that there are to be. */
  readonly wanted: number
  /** How many more replicas are wanted than there are. */
  readonly missing: number
  /** How many replicas have loaded their model and stay. */
  readonly servingCount: number
  /** Whether no replica is started any more. */
  readonly isOver: boolean
  /** Starts one replica; rejects if it cannot be started, or if the set is over. */
  startReplica(): Promise<unknown>
  /** A replica could not be started, and there are to be as many as there are; one at least. */
  curtail(cause: Error): void
  /** A replica could not be started and is tried again. */
  startFailed(cause: Error, retryInMs: number): void
  /** @throws the reason why the set is over, if it is. */
  assertServing(): void
}

export interface GrowthSettings {
  readonly clock: Clock
  readonly restartBackoffMs: number
  readonly maxRestartBackoffMs: number
  /** Waits for a place among the loads that may run at the same time. */
  readonly inTurn: ((load: () => Promise<void>) => Promise<void>) | undefined
}

const MAX_DOUBLINGS = 30

/** Starts the replicas that a set is missing, one after another. */
export class Growth {
  readonly #set: GrowingSet
  readonly #settings: GrowthSettings
  readonly #waiters = new Waiters()
  #running: Promise<void> | undefined
  #hasBegun = false
  /** Whether nobody waits for it, so that what fails is tried again. */
  #isFilling = false
  /** Starts that failed since the last one that succeeded. */
  #failures = 0
  #retry: Timer | undefined

  constructor(set: GrowingSet, settings: GrowthSettings) {
    this.#set = set
    this.#settings = settings
  }

  /** Whether replicas are being started, or are about to be for the first time. */
  get isUnderWay(): boolean {
    return this.#running !== undefined || !this.#hasBegun
  }

  /** The growth under way; undefined if there is none. It rejects with the first failure. */
  get running(): Promise<void> | undefined {
    return this.#running
  }

  /** Starts what is missing for a caller who awaits `running` and hears of the first failure. */
  begin(): void {
    this.#hasBegun = true
    if (this.#set.missing <= 0) return
    this.#isFilling = false
    this.#running ??= this.#grow()
  }

  /** Starts what is missing in the background; a replica that cannot be started is tried again, later each time. */
  fill(): void {
    this.#hasBegun = true
    if (this.#running !== undefined || this.#set.missing <= 0 || this.#set.isOver) return
    this.#isFilling = true
    this.#running = this.#grow()
    this.#running.catch(() => undefined)
  }

  /** A replica could not be started although others serve: it is tried again after a back-off. */
  retryLater(cause: Error): void {
    if (this.#set.isOver) return
    const { clock, restartBackoffMs, maxRestartBackoffMs } = this.#settings
    const doublings = Math.min(this.#failures, MAX_DOUBLINGS)
    const delayMs = Math.min(restartBackoffMs * 2 ** doublings, maxRestartBackoffMs)
    this.#failures += 1
    clock.clear(this.#retry)
    this.#retry = clock.setTimeout(() => this.fill(), delayMs)
    this.#waiters.fail(cause)
    this.#set.startFailed(cause, delayMs)
  }

  /**
   * Resolves when `count` replicas serve, or as many as are wanted. Rejects when one of them cannot be
   * started, and when no more replicas are started.
   */
  async whenServing(count: number): Promise<void> {
    while (this.#set.servingCount < Math.min(count, this.#set.wanted)) {
      this.#set.assertServing()
      await this.#waiters.wait()
    }
  }

  /** To be called when a replica has begun to serve, when other replicas are wanted, and when the set is over. */
  changed(): void {
    if (this.#set.isOver) this.#settings.clock.clear(this.#retry)
    this.#waiters.wake()
  }

  async #grow(): Promise<void> {
    const { inTurn = (load) => load() } = this.#settings
    try {
      while (this.#set.missing > 0) {
        await inTurn(async () => {
          if (this.#set.missing > 0) await this.#set.startReplica()
        })
        this.#failures = 0
      }
    } catch (error) {
      // One that is not wanted any more may fail.
      if (this.#set.missing <= 0) return
      if (this.#isFilling) this.retryLater(error as Error)
      else this.#set.curtail(error as Error)
      throw error
    } finally {
      this.#running = undefined
    }
  }
}
