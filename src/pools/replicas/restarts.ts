import type { Outbox } from '../../async/outbox.js'
import type { Clock, Timer } from '../../platform/clock.js'
import { CrashBudget, type CrashBudgetSettings } from './crash-budget.js'

/** The replicas of which those that are gone are replaced. */
export interface ReplacingSet {
  readonly missing: number
  readonly servingCount: number
  readonly isOver: boolean
  startReplica(): Promise<unknown>
  /** A replica could not be started although others serve. */
  retryLater(cause: Error): void
  /** A replica is gone; undefined if it is not replaced. */
  lost(cause: Error, restartInMs: number | undefined): void
  /** The crash budget is spent: no replica is started any more. */
  failed(cause: Error): void
}

export interface RestartSettings extends CrashBudgetSettings {
  readonly clock: Clock
  readonly outbox: Outbox
}

/** Replaces replicas that are gone, each after a back-off, until the crash budget is spent. */
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

  /** Replacements that are to come. */
  get pending(): number {
    return this.#timers.size
  }

  /** Replacements that have been begun. */
  get count(): number {
    return this.#count
  }

  /** A replica that served is gone, or the only one could not be started. */
  replace(cause: Error): void {
    if (this.#set.isOver) return
    this.#settings.outbox.during(() => {
      const isMissing = this.#set.missing > 0
      const delayMs = isMissing ? this.#schedule() : undefined
      this.#set.lost(cause, delayMs)
      if (isMissing && delayMs === undefined) this.#set.failed(cause)
    })
  }

  /** Cancels one replacement that is to come; false if there is none. */
  cancelOne(): boolean {
    const [timer] = this.#timers
    this.#settings.clock.clear(timer)
    return timer !== undefined && this.#timers.delete(timer)
  }

  cancelAll(): void {
    while (this.cancelOne()) {}
  }

  /** The delay of the replacement; undefined when the crash budget is spent. */
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

  /** The crash budget is for replicas that die: one that cannot be started does not end those that serve. */
  #startFailed(error: Error): void {
    if (this.#set.servingCount > 0 && this.#set.missing > 0) this.#set.retryLater(error)
    else this.replace(error)
  }
}
