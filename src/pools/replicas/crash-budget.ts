export interface CrashBudgetSettings {
  readonly crashBudget: number
  readonly crashWindowMs: number
  readonly restartBackoffMs: number
  readonly maxRestartBackoffMs: number
}

/** Decides whether a dead replica is replaced, and after how long. */
export class CrashBudget {
  readonly #settings: CrashBudgetSettings
  #deathsAtMs: number[] = []

  constructor(settings: CrashBudgetSettings) {
    this.#settings = settings
  }

  /** Counts one death; returns the delay before its replacement, or undefined if the budget is spent. */
  spend(nowMs: number): number | undefined {
    const { crashBudget, crashWindowMs, restartBackoffMs, maxRestartBackoffMs } = this.#settings
    this.#deathsAtMs = this.#deathsAtMs.filter((at) => nowMs - at < crashWindowMs)
    this.#deathsAtMs.push(nowMs)
    const deaths = this.#deathsAtMs.length
    if (deaths > crashBudget) return undefined
    return Math.min(restartBackoffMs * 2 ** (deaths - 1), maxRestartBackoffMs)
  }
}
