/** A running timer. */
export interface Timer {
  /** Allows the process to end while the timer is running. */
  unref(): Timer
}

/** The source of time: no other module reads a clock or sets a timer. */
export interface Clock {
  /** Returns the milliseconds since an arbitrary moment; the value never decreases. */
  now(): number
  /** The moment at which `now` was 0, in milliseconds since 1970. */
  readonly originMs: number
  /** Returns the system time in milliseconds since 1970; it may go back. */
  epoch(): number
  setTimeout(run: () => void, delayMs: number): Timer
  setInterval(run: () => void, everyMs: number): Timer
  /** Stops a timer of either kind; does nothing for one that has ended, or for undefined. */
  clear(timer: Timer | undefined): void
  /** Calls `run` after the current code and, if that is a microtask, after the queued microtasks. */
  nextTick(run: () => void): void
  /** Calls `run` after the input and output that is due. */
  setImmediate(run: () => void): void
}

/** The clock of this process. */
export const systemClock: Clock = {
  now: () => performance.now(),
  get originMs() {
    return performance.timeOrigin
  },
  epoch: () => Date.now(),
  setTimeout: (run, delayMs) => setTimeout(run, delayMs),
  setInterval: (run, everyMs) => setInterval(run, everyMs),
  clear: (timer) => clearTimeout(timer as NodeJS.Timeout | undefined),
  nextTick: (run) => process.nextTick(run),
  setImmediate: (run) => void setImmediate(run),
}
