import type { Outbox } from '../../async/outbox.js'
import type { Clock, Timer } from '../../platform/clock.js'
import { CrashBudget, type CrashBudgetSettings } from './crash-budget.js'

/** A set whose dead replicas are replaced. */
export interface ReplacingSet {
  readonly missing: number
  readonly servingCount: number
  readonly isOver: boolean
  startReplica(): Promise<unknown>
  /** Retries a failed start later, because other replicas serve. */
  retryLater(cause: Error): void
  /** Reports the loss of a replica; `restartInMs` is undefined if it is not replaced. */
  lost(cause: Error, restartInMs: number | undefined): void
  /** Reports that the crash budget is spent: no replica is started any more. */
  failed(cause: Error): void
}

export interface RestartSettings extends CrashBudgetSettings {
  readonly clock: Clock
  readonly outbox: Outbox
}

/** Replaces dead replicas, each after a back-off, until the crash budget is spent. */
export class Restarts {
  readonly #settings: RestartSettings
  readonly #set: ReplacingSet
  readonly #budget: CrashBudget
  readonly #timers = new Set<Timer>()
  #count = 0

  constructor(settings: RestartSettings, set: ReplacingSet) {
    this.#settings = settings
    this.#set = set
    this.#budget = new CrashBudget(settings)
  }

  /** Number of replacements that are scheduled. */
  get pending(): number {
    return this.#timers.size
  }

  /** Number of replacements that have been started. */
  get count(): number {
    return this.#count
  }

  /** Schedules the replacement of a replica that served, or of the only one, which could not be started. */
  replace(cause: Error): void {
    if (this.#set.isOver) return
    this.#settings.outbox.during(() => {
      const isMissing = this.#set.missing > 0
      const delayMs = isMissing ? this.#schedule() : undefined
      this.#set.lost(cause, delayMs)
      if (isMissing && delayMs === undefined) this.#set.failed(cause)
    })
  }

  /** Cancels one scheduled replacement; returns false if there is none. */
  cancelOne(): boolean {
    const [timer] = this.#timers
    this.#settings.clock.clear(timer)
    return timer !== undefined && this.#timers.delete(timer)
  }

  cancelAll(): void {
    while (this.cancelOne()) {}
  }

  /** Schedules a replacement; returns its delay, or undefined if the crash budget is spent. */
  #schedule(): number | undefined {
    const { clock } = this.#settings
    const delayMs = this.#budget.spend(clock.now())
    if (delayMs === undefined) {
      this.cancelAll()
      return undefined
    }
    const timer = clock.setTimeout(() => {
      this.#timers.delete(timer)
      this.#count += 1
      this.#set.startReplica().catch((error: Error) => this.#startFailed(error))
    }, delayMs)
    this.#timers.add(timer)
    return delayMs
  }

  /**
   * Handles a failed start. The crash budget is for replicas that die: a replica that cannot be started does not end
   * those that serve.
   */
  #startFailed(error: Error): void {
    if (this.#set.servingCount > 0 && this.#set.missing > 0) this.#set.retryLater(error)
    else this.replace(error)
  }
}
