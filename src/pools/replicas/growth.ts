import { Waiters } from '../../async/waiters.js'
import type { Clock, Timer } from '../../platform/clock.js'

/** The set of replicas that grows. */
export interface GrowingSet {
  /** Target number of replicas. */
  readonly wanted: number
  /** Number of replicas that are still to be started. */
  readonly missing: number
  /** Number of replicas that have loaded their model and stay. */
  readonly servingCount: number
  /** True once no replica is started any more. */
  readonly isOver: boolean
  /** Starts one replica; rejects if it cannot be started, or if the set is over. */
  startReplica(): Promise<unknown>
  /** Lowers the target to the present number of replicas, at least one, because a replica could not be started. */
  curtail(cause: Error): void
  /** Reports that a replica could not be started and is tried again after `retryInMs`. */
  startFailed(cause: Error, retryInMs: number): void
  /**
   * Throws if the set is over.
   * @throws ERR_MODEL_UNAVAILABLE
   */
  assertServing(): void
}

export interface GrowthSettings {
  readonly clock: Clock
  readonly restartBackoffMs: number
  readonly maxRestartBackoffMs: number
  /** Runs `load` when there is a place among the loads that may run at the same time. */
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
  /** True if no caller awaits the growth, so that a failed start is retried. */
  #isFilling = false
  /** Number of starts that failed since the last one that succeeded. */
  #failures = 0
  #retry: Timer | undefined

  constructor(set: GrowingSet, settings: GrowthSettings) {
    this.#set = set
    this.#settings = settings
  }

  /** True while replicas are being started, and before the first growth. */
  get isUnderWay(): boolean {
    return this.#running !== undefined || !this.#hasBegun
  }

  /** Promise of the growth under way, which rejects with the first failure; undefined if there is none. */
  get running(): Promise<void> | undefined {
    return this.#running
  }

  /** Starts the missing replicas for a caller that awaits `running` and handles the first failure. */
  begin(): void {
    this.#hasBegun = true
    if (this.#set.missing <= 0) return
    this.#isFilling = false
    this.#running ??= this.#grow()
  }

  /** Starts the missing replicas in the background; a start that fails is retried after an increasing delay. */
  fill(): void {
    this.#hasBegun = true
    if (this.#running !== undefined || this.#set.missing <= 0 || this.#set.isOver) return
    this.#isFilling = true
    this.#running = this.#grow()
    this.#running.catch(() => undefined)
  }

  /** Retries a failed start after a back-off, while other replicas serve. */
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
   * Resolves when `count` replicas serve, or the target number if that is smaller. Rejects when one of them cannot be
   * started, and when no more replicas are started.
   */
  async whenServing(count: number): Promise<void> {
    while (this.#set.servingCount < Math.min(count, this.#set.wanted)) {
      this.#set.assertServing()
      await this.#waiters.wait()
    }
  }

  /**
   * Notifies those that wait. To be called when a replica has begun to serve, when the target changes, and when the
   * set is over.
   */
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
      // The failure of a replica that is no longer wanted does not matter.
      if (this.#set.missing <= 0) return
      if (this.#isFilling) this.retryLater(error as Error)
      else this.#set.curtail(error as Error)
      throw error
    } finally {
      this.#running = undefined
    }
  }
}
