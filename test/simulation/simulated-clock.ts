import type { Clock, Timer } from '../../src/platform/clock.js'
import { type SetTimer, TimerSet, timerLengthMs } from '../../src/testing/timer-set.js'
import type { Random } from './random.js'

/**
 * `engine`: set by the code under test; `library`: by a package that it uses; `world`: a response of the
 * world.
 */
type Owner = 'engine' | 'library' | 'world'

interface Item extends SetTimer {
  readonly owner: Owner
}

/** More events than this at one instant are a loop. */
const MAX_AT_ONCE = 5_000

/**
 * A clock that stands still until it is advanced, and the schedule of all events. Among events that are due
 * at the same time, `random` chooses the next one within the guarantees of Node: timers run in the order of
 * their due times, and timers of the same length in the order in which they were set.
 */
export class SimulatedClock implements Clock {
  readonly originMs = 1_000_000_000_000
  /** The number of events that have run. */
  points = 0
  /** Called after an event has run, before its consequences. */
  onPoint: ((point: number) => void) | undefined
  readonly #random: Random
  readonly #items = new TimerSet<Item>()
  readonly #immediates: (() => void)[] = []
  #ticks: (() => void)[] = []
  #nowMs = 0
  #atOnce = 0

  constructor(random: Random) {
    this.#random = random
  }

  now(): number {
    return this.#nowMs
  }

  epoch(): number {
    return this.originMs + this.#nowMs
  }

  setTimeout(run: () => void, delayMs: number): Timer {
    return this.#add('engine', run, delayMs, false)
  }

  setInterval(run: () => void, everyMs: number): Timer {
    return this.#add('engine', run, everyMs, true)
  }

  clear(timer: Timer | undefined): void {
    this.#items.delete(timer)
  }

  nextTick(run: () => void): void {
    this.#ticks.push(run)
  }

  setImmediate(run: () => void): void {
    this.#immediates.push(run)
  }

  /** Sets a timer of a package with its own clock; it does not count as pending. */
  addForeign(run: () => void, delayMs: number, repeats: boolean): Timer {
    return this.#add('library', run, delayMs, repeats)
  }

  /** Schedules a response of the world after `delayMs`, which may be 0. */
  later(delayMs: number, run: () => void): void {
    this.#items.add(this.#nowMs, { owner: 'world', run, lengthMs: delayMs, repeats: false })
  }

  /** The number of timers and other items of the code under test. */
  get pending(): number {
    let timers = 0
    for (const { owner } of this.#items) if (owner === 'engine') timers += 1
    return timers + this.#immediates.length + this.#ticks.length
  }

  /** True if no work is due. */
  get isIdle(): boolean {
    const { earliestMs } = this.#items
    return this.#immediates.length === 0 && (earliestMs === undefined || earliestMs > this.#nowMs)
  }

  /** Runs all microtasks and ticks. */
  async settle(): Promise<void> {
    for (let rounds = 0; ; rounds += 1) {
      await microtasksOver()
      if (this.#ticks.length === 0) return
      if (rounds > MAX_AT_ONCE) throw new Error('ticks follow each other without end')
      const ticks = this.#ticks
      this.#ticks = []
      for (const run of ticks) run()
    }
  }

  /** Runs the next event that is due by `untilMs` and its consequences; returns false if there is none. */
  async next(untilMs: number): Promise<boolean> {
    await this.settle()
    let chosen = this.#choose()
    if (chosen === undefined) {
      const dueMs = this.#items.earliestMs
      if (dueMs === undefined || dueMs > untilMs) return false
      this.#nowMs = dueMs
      this.#atOnce = 0
      chosen = this.#choose() as () => void
    }
    this.#atOnce += 1
    if (this.#atOnce > MAX_AT_ONCE)
      throw new Error('things follow each other without end, and no time passes')
    this.points += 1
    chosen()
    this.onPoint?.(this.points)
    await this.settle()
    return true
  }

  /** Lets `ms` pass and runs all events meanwhile. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms
    while (await this.next(endMs)) {}
    if (endMs > this.#nowMs) this.#atOnce = 0
    this.#nowMs = Math.max(this.#nowMs, endMs)
  }

  /** Lets `ms` pass in which nothing runs, as when the event loop is blocked. */
  stall(ms: number): void {
    this.#nowMs += ms
    this.#atOnce = 0
  }

  /** Takes one of the events that are due and may run now. */
  #choose(): (() => void) | undefined {
    const candidates: (Item | undefined)[] = []
    let timers: Item[] = []
    for (const item of this.#items) {
      if (item.dueMs > this.#nowMs) continue
      if (item.owner === 'world') candidates.push(item)
      else if (timers.length === 0 || item.dueMs < (timers[0] as Item).dueMs) timers = [item]
      else if (item.dueMs === (timers[0] as Item).dueMs) timers.push(item)
    }
    for (const [index, item] of timers.entries()) {
      if (timers.findIndex(({ lengthMs }) => lengthMs === item.lengthMs) === index) candidates.push(item)
    }
    // An undefined candidate stands for an immediate.
    if (this.#immediates.length > 0) candidates.push(undefined)
    if (candidates.length === 0) return undefined
    const item = candidates.length === 1 ? candidates[0] : candidates[this.#random.below(candidates.length)]
    if (item === undefined) return this.#immediates.shift()
    this.#items.take(item, this.#nowMs)
    return item.run
  }

  #add(owner: Owner, run: () => void, delayMs: number, repeats: boolean): Timer {
    return this.#items.add(this.#nowMs, { owner, run, lengthMs: timerLengthMs(delayMs), repeats })
  }
}

/**
 * Resolves once no microtask is left; Node runs its next ticks between the present microtasks and those that
 * follow.
 */
function microtasksOver(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve))
}
