import { AsyncResource } from 'node:async_hooks'
import { setImmediate } from 'node:timers'
import { errors } from '../errors/errors.js'
import type { Clock, Timer } from '../platform/clock.js'
import { type SetTimer, TimerSet, timerLengthMs } from './timer-set.js'

// Taken at the import, from a module: the fake timers of test runners replace globals, and this clock has to go on.
const inNextTurn = setImmediate

/** Clock whose time stands still until a test advances it. Code that waits for no time runs as usual. */
export class TestClock implements Clock {
  /** Time at which `now()` was 0, in milliseconds since 1970. */
  readonly originMs = 1_000_000_000_000
  #nowMs = 0
  readonly #timers = new TimerSet()
  readonly #ticks: (() => void)[] = []
  readonly #immediates: (() => void)[] = []
  /** True while a turn of the event loop is awaited for ticks and immediates. */
  #isAwake = false

  /** Returns the time that has passed since the clock was made, in milliseconds. */
  now(): number {
    return this.#nowMs
  }

  /** Returns the time of the clock in milliseconds since 1970. */
  epoch(): number {
    return this.originMs + this.#nowMs
  }

  /** Calls `run` once, when `delayMs` milliseconds (1 at least, as in Node) have passed on this clock. */
  setTimeout(run: () => void, delayMs: number): Timer {
    return this.#add(run, delayMs, false)
  }

  /** Calls `run` each time `everyMs` milliseconds (1 at least, as in Node) have passed on this clock. */
  setInterval(run: () => void, everyMs: number): Timer {
    return this.#add(run, everyMs, true)
  }

  /** Stops a timer; one that is over, or undefined, is fine too. */
  clear(timer: Timer | undefined): void {
    this.#timers.delete(timer)
  }

  /** Calls `run` after the code that runs now and the promise jobs it leaves. */
  nextTick(run: () => void): void {
    this.#ticks.push(AsyncResource.bind(run))
    this.#wake()
  }

  /** Calls `run` in a later turn of the event loop. */
  setImmediate(run: () => void): void {
    this.#immediates.push(AsyncResource.bind(run))
    this.#wake()
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
    } while (this.#ticks.length + this.#immediates.length > 0)
  }

  /**
   * Lets `ms` milliseconds pass: each timer runs at its time, and all that it leads to happens before the next one
   * runs. Resolves when everything that was due has happened. Rejects with ERR_INVALID_OPTIONS if `ms` is no time.
   */
  async advance(ms: number): Promise<void> {
    if (!Number.isFinite(ms) || ms < 0) {
      throw new errors.ERR_INVALID_OPTIONS(
        `advance: ${String(ms)} is no time that can pass; give a number of milliseconds, 0 or more`,
      )
    }
    const endMs = this.#nowMs + ms
    await this.settle()
    while (await this.#runNext(endMs)) {}
    this.#nowMs = Math.max(this.#nowMs, endMs)
  }

  /** Lets time pass until the next timer has run, with all that it leads to; resolves with false if none is set. */
  async advanceToNext(): Promise<boolean> {
    await this.settle()
    return this.#runNext(Number.POSITIVE_INFINITY)
  }

  async #runNext(endMs: number): Promise<boolean> {
    const dueMs = this.#timers.earliestMs
    if (dueMs === undefined || dueMs > endMs) return false
    this.#nowMs = Math.max(this.#nowMs, dueMs)
    // Timers that are due at the same time run in the order in which they were set.
    const timer = [...this.#timers].find((each) => each.dueMs === dueMs) as SetTimer
    this.#timers.take(timer, this.#nowMs)
    timer.run()
    await this.settle()
    return true
  }

  #add(run: () => void, delayMs: number, repeats: boolean): Timer {
    const lengthMs = timerLengthMs(delayMs)
    return this.#timers.add(this.#nowMs, { run: AsyncResource.bind(run), lengthMs, repeats })
  }

  #wake(): void {
    if (this.#isAwake || this.#ticks.length + this.#immediates.length === 0) return
    this.#isAwake = true
    inNextTurn(() => this.#turn())
  }

  /** Runs all ticks, or else one immediate: what that leads to comes before the next one. */
  #turn(): void {
    this.#isAwake = false
    try {
      if (this.#ticks.length === 0) this.#immediates.shift()?.()
      else for (let run = this.#ticks.shift(); run !== undefined; run = this.#ticks.shift()) run()
    } finally {
      this.#wake()
    }
  }
}
