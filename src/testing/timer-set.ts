import type { Timer } from '../platform/clock.js'

/** Node's timers take this time at least, in milliseconds. */
const MIN_TIMER_MS = 1

/** Timer of a clock that does not go by itself. */
export interface SetTimer extends Timer {
  readonly run: () => void
  /** Length of the timer, in milliseconds. */
  readonly lengthMs: number
  readonly repeats: boolean
  /** Time at which the timer runs next. */
  dueMs: number
}

/** Timers that are set, in the order in which they were set or ran last. */
export class TimerSet<T extends SetTimer = SetTimer> {
  readonly #timers = new Set<T>()

  get size(): number {
    return this.#timers.size
  }

  /** Sets a timer that runs `lengthMs` after `nowMs`; `rest` is what a clock keeps beside it. */
  add(nowMs: number, timer: Pick<T, 'run' | 'lengthMs' | 'repeats'> & Omit<T, keyof SetTimer>): T {
    const added = { ...timer, dueMs: nowMs + timer.lengthMs } as T
    added.unref = () => added
    this.#timers.add(added)
    return added
  }

  /** Stops a timer; one that is over, or undefined, is fine too. */
  delete(timer: Timer | undefined): void {
    this.#timers.delete(timer as T)
  }

  /** Removes a timer that runs at `nowMs`, or sets it anew if it repeats. */
  take(timer: T, nowMs: number): void {
    this.#timers.delete(timer)
    if (!timer.repeats) return
    timer.dueMs = nowMs + timer.lengthMs
    this.#timers.add(timer)
  }

  /** Returns the time at which the next timer runs; undefined if none is set. */
  get earliestMs(): number | undefined {
    let earliestMs: number | undefined
    for (const { dueMs } of this.#timers) {
      if (earliestMs === undefined || dueMs < earliestMs) earliestMs = dueMs
    }
    return earliestMs
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#timers[Symbol.iterator]()
  }
}

/** Returns the length of a timer that is set for `delayMs`. */
export function timerLengthMs(delayMs: number): number {
  return Math.max(MIN_TIMER_MS, delayMs)
}
