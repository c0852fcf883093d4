/** A timer that is running. */
export interface Timer {
  /** Lets the process end although it is running. */
  unref(): Timer
}

/** Time, as everything here sees it: no other module reads a clock or sets a timer. */
export interface Clock {
  /** Milliseconds since some moment; never goes back. */
  now(): number
  /** When `now` was 0, in milliseconds since 1970. */
  readonly originMs: number
  /** Milliseconds since 1970, as the system has them now. */
  epoch(): number
  setTimeout(run: () => void, delayMs: number): Timer
  setInterval(run: () => void, everyMs: number): Timer
  /** Stops a timer of either kind; one that is over, or undefined, is fine too. */
  clear(timer: Timer | undefined): void
  /** After the code that runs now and the microtasks it leaves. */
  nextTick(run: () => void): void
  /** After the input and output that is due. */
  setImmediate(run: () => void): void
}

/** That of this process. */
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
