import type { Clock, Timer } from '../platform/clock.js'

// Taken when this file is imported: test runners put clocks of their own in their places later.
const { setImmediate: inNextTurn } = globalThis
const { nextTick } = process

interface TestTimer extends Timer {
  readonly run: () => void
  readonly everyMs: number | undefined
  dueMs: number
}

/** Clock whose time stands still until a test advances it. Code that waits for no time runs as usual. */
export class TestClock implements Clock {
  /** Time at which `now()` was 0, in milliseconds since 1970. */
  readonly originMs = 1_000_000_000_000
  #nowMs = 0
  /** In the order in which they were set, or ran last. */
  readonly #timers = new Set<TestTimer>()
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
    return this.#add(run, delayMs, undefined)
  }

  /** Calls `run` each time `everyMs` (1 at least, as in Node) have passed on this clock. */
  setInterval(run: () => void, everyMs: number): Timer {
    return this.#add(run, everyMs, Math.max(1, everyMs))
  }

  /** Stops a timer; one that is over, or undefined, is fine too. */
  clear(timer: Timer | undefined): void {
    this.#timers.delete(timer as TestTimer)
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
    const timer = this.#nextUntil(endMs)
    if (timer === undefined) return false
    this.#nowMs = Math.max(this.#nowMs, timer.dueMs)
    this.#timers.delete(timer)
    if (timer.everyMs !== undefined) {
      timer.dueMs = this.#nowMs + timer.everyMs
      this.#timers.add(timer)
    }
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

  #add(run: () => void, delayMs: number, everyMs: number | undefined): Timer {
    const dueMs = this.#nowMs + Math.max(1, delayMs)
    const timer: TestTimer = { run, everyMs, dueMs, unref: () => timer }
    this.#timers.add(timer)
    return timer
  }

  #nextUntil(endMs: number): TestTimer | undefined {
    let next: TestTimer | undefined
    for (const timer of this.#timers) {
      if (timer.dueMs <= endMs && (next === undefined || timer.dueMs < next.dueMs)) next = timer
    }
    return next
  }
}
