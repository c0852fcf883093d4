import { CrashBudget, type CrashBudgetSettings } from './crash-budget.js'

/** The replacements that are to come. */
export class Restarts {
  readonly #budget: CrashBudget
  readonly #timers = new Set<NodeJS.Timeout>()

  constructor(settings: CrashBudgetSettings) {
    this.#budget = new CrashBudget(settings)
  }

  get pending(): number {
    return this.#timers.size
  }

  /** Calls `restart` after the delay that is returned; never, with undefined, when the crash budget is spent. */
  schedule(restart: () => void): number | undefined {
    const delayMs = this.#budget.spend(performance.now())
    if (delayMs === undefined) return undefined
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      restart()
    }, delayMs)
    this.#timers.add(timer)
    return delayMs
  }

  /** Whether there was one to cancel. */
  cancelOne(): boolean {
    const [timer] = this.#timers
    clearTimeout(timer)
    return timer !== undefined && this.#timers.delete(timer)
  }

  cancelAll(): void {
    while (this.cancelOne()) {}
  }
}
