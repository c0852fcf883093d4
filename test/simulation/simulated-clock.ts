import type { Clock, Timer } from '../../src/platform/clock.js'
import type { Random } from './random.js'

/**
 * `engine`: set by the code under test; `library`: by a package that it uses; `world`: a response of the
 * world.
 */
type Owner = 'engine' | 'library' | 'world'

interface Item extends Timer {
  readonly run: () => void
  readonly owner: Owner
  readonly lengthMs: number
  readonly everyMs: number | undefined
  dueMs: number
  /** The position among all items, in the order in which they were set. */
  place: number
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
  readonly #items = new Set<Item>()
  readonly #immediates: (() => void)[] = []
  #ticks: (() => void)[] = []
  #nowMs = 0
  #places = 0
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
    this.#items.delete(timer as Item)
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
    this.#insert({ owner: 'world', run, lengthMs: delayMs, everyMs: undefined, dueMs: this.#nowMs + delayMs })
  }

  /** The number of timers and other items of the code under test. */
  get pending(): number {
    let timers = 0
    for (const { owner } of this.#items) if (owner === 'engine') timers += 1
    return timers + this.#immediates.length + this.#ticks.length
  }

  /** True if no work is due. */
  get isIdle(): boolean {
    const earliestMs = this.#earliestMs()
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
      const dueMs = this.#earliestMs()
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
    for (const item of timers) {
      const isFirst = !timers.some(({ lengthMs, place }) => lengthMs === item.lengthMs && place < item.place)
      if (isFirst) candidates.push(item)
    }
    // An undefined candidate stands for an immediate.
    if (this.#immediates.length > 0) candidates.push(undefined)
    if (candidates.length === 0) return undefined
    const item = candidates.length === 1 ? candidates[0] : candidates[this.#random.below(candidates.length)]
    if (item === undefined) return this.#immediates.shift()
    this.#items.delete(item)
    if (item.everyMs !== undefined) {
      item.dueMs = this.#nowMs + item.everyMs
      this.#insert(item)
    }
    return item.run
  }

  #earliestMs(): number | undefined {
    let earliestMs: number | undefined
    for (const { dueMs } of this.#items) {
      if (earliestMs === undefined || dueMs < earliestMs) earliestMs = dueMs
    }
    return earliestMs
  }

  #add(owner: Owner, run: () => void, delayMs: number, repeats: boolean): Timer {
    // Timers of Node take at least 1 ms.
    const lengthMs = Math.max(1, delayMs)
    const everyMs = repeats ? lengthMs : undefined
    return this.#insert({ owner, run, lengthMs, everyMs, dueMs: this.#nowMs + lengthMs })
  }

  #insert(order: Omit<Item, 'place' | 'unref'>): Timer {
    this.#places += 1
    const item = order as Item
    item.place = this.#places
    item.unref = () => item
    this.#items.add(item)
    return item
  }
}

/**
 * Resolves once no microtask is left; Node runs its next ticks between the present microtasks and those that
 * follow.
 */
function microtasksOver(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve))
}
