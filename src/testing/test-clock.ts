import type { Clock, Timer } from '../platform/clock.js'
import { type SetTimer, TimerSet, timerLengthMs } from './timer-set.js'

// Taken when this file is imported: test runners put clocks of their own in their places later.
const { setImmediate: inNextTurn } = globalThis
const { nextTick } = process

/** Clock whose time stands still until a test advances it. Code that waits for no time runs as usual. */
export class TestClock implements Clock {
  /** Time at which `now()` was 0, in milliseconds since 1970. */
  readonly originMs = 1_000_000_000_000
  #nowMs = 0
  readonly #timers = new TimerSet()
  /** Ticks and immediates that have not run. */
  #turns = 0

  /** Returns the milliseconds that have passed since the clock was made. */
  now(): number {
    return this.#nowMs
  }

  /** Returns the time of the clock in milliseconds since 1970. */
  epoch(): number {
    return this.originMs + this.#nowMs
  }

  /** Calls `run` once, when `delayMs` (1 at least, as in Node) have passed on this clock. */
  setTimeout(run: () => void, delayMs: number): Timer {
    return this.#timers.add(this.#nowMs, { run, lengthMs: timerLengthMs(delayMs), repeats: false })
  }

  /** Calls `run` each time `everyMs` (1 at least, as in Node) have passed on this clock. */
  setInterval(run: () => void, everyMs: number): Timer {
    return this.#timers.add(this.#nowMs, { run, lengthMs: timerLengthMs(everyMs), repeats: true })
  }

  /** Stops a timer; one that is over, or undefined, is fine too. */
  clear(timer: Timer | undefined): void {
    this.#timers.delete(timer)
  }

  /** Calls `run` after the code that runs now. */
  nextTick(run: () => void): void {
    nextTick(this.#turn(run))
  }

  /** Calls `run` in the next turn of the event loop. */
  setImmediate(run: () => void): void {
    inNextTurn(this.#turn(run))
  }

  /** Number of timers that are set. */
  get pending(): number {
    return this.#timers.size
  }

  /** Resolves when everything that waits for no time has happened. */
  async settle(): Promise<void> {
    do {
      // Every promise job is over by then.
      await new Promise<void>((resolve) => inNextTurn(resolve))
    } while (this.#turns > 0)
  }

  /**
   * Lets `ms` milliseconds pass: each timer runs at its time, and all that it leads to happens before the next one
   * runs. Resolves when everything that was due has happened.
   */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms
    await this.settle()
    while (await this.#runNext(endMs)) {}
    this.#nowMs = Math.max(this.#nowMs, endMs)
  }

  /** Lets time pass until the next timer runs, with all that it leads to; resolves with false if none is set. */
  async advanceToNext(): Promise<boolean> {
    await this.settle()
    return this.#runNext(Number.POSITIVE_INFINITY)
  }

  async #runNext(endMs: number): Promise<boolean> {
    const dueMs = this.#timers.earliestMs
    if (dueMs === undefined || dueMs > endMs) return false
    this.#nowMs = Math.max(this.#nowMs, dueMs)
    // Of those that are due at that time the one that was set first.
    const timer = [...this.#timers].find((each) => each.dueMs === dueMs) as SetTimer
    this.#timers.take(timer, this.#nowMs)
    timer.run()
    await this.settle()
    return true
  }

  #turn(run: () => void): () => void {
    this.#turns += 1
    return () => {
      this.#turns -= 1
      run()
    }
  }
}
