import type { Clock, Timer } from '../platform/clock.js'
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

/** Replaces replicas that are gone, each after a back-off, until the crash budget is spent. */
export class Restarts {
  readonly #clock: Clock
  readonly #set: ReplacingSet
  readonly #budget: CrashBudget
  readonly #timers = new Set<Timer>()
  #count = 0
  #isSpent = false

  constructor(clock: Clock, set: ReplacingSet, settings: CrashBudgetSettings) {
    this.#clock = clock
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

  get isSpent(): boolean {
    return this.#isSpent
  }

  /** A replica that served is gone, or the only one could not be started. */
  replace(cause: Error): void {
    if (this.#set.isOver) return
    const delayMs = this.#set.missing > 0 ? this.#schedule() : undefined
    this.#set.lost(cause, delayMs)
    if (this.#isSpent) this.#set.failed(cause)
  }

  /** Whether there was one to cancel. */
  cancelOne(): boolean {
    const [timer] = this.#timers
    this.#clock.clear(timer)
    return timer !== undefined && this.#timers.delete(timer)
  }

  cancelAll(): void {
    while (this.cancelOne()) {}
  }

  /** The delay of the replacement; undefined when the crash budget is spent. */
  #schedule(): number | undefined {
    const delayMs = this.#budget.spend(this.#clock.now())
    if (delayMs === undefined) {
      this.#isSpent = true
      this.cancelAll()
      return undefined
    }
    const timer = this.#clock.setTimeout(() => {
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
