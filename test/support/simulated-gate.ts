import { type Deferred, deferred } from './lifecycle-harness.js'
import type { Place } from './load-gate.js'

interface Stop {
  arrived: number
  permits: number
  /** Models that are held up, in the order in which they came. */
  readonly held: Deferred[]
  readonly arrivals: { readonly count: number; readonly reached: Deferred }[]
}

/** The `Gate` of a simulated machine: holds models up, without a thread, until a test lets them through. */
export class SimulatedGate {
  static readonly #all = new Map<number, SimulatedGate>()
  /** Goes to the loader as `loaderOptions.gate`; a number, which survives the copy that a thread receives. */
  readonly memory: number = SimulatedGate.#all.size + 1
  readonly #stops: Readonly<Record<Place, Stop>> = { load: stop(), run: stop(), release: stop() }

  constructor() {
    SimulatedGate.#all.set(this.memory, this)
  }

  /** Returns the gate whose `memory` a loader was given. */
  static of(memory: unknown): SimulatedGate {
    const gate = SimulatedGate.#all.get(memory as number)
    if (gate === undefined) throw new Error(`there is no gate ${String(memory)}`)
    return gate
  }

  arrived(place: Place): number {
    return this.#stops[place].arrived
  }

  /** Resolves when models have been held up at `place` `count` times in all. */
  async arrival(place: Place, count = 1): Promise<void> {
    const { arrived, arrivals } = this.#stops[place]
    if (arrived >= count) return
    const reached = deferred()
    arrivals.push({ count, reached })
    await reached.promise
  }

  /** Lets `count` more models through, in the order in which they came. */
  open(place: Place, count = 1): void {
    const own = this.#stops[place]
    own.permits += count
    while (own.permits > 0) {
      const next = own.held.shift()
      if (next === undefined) return
      own.permits -= 1
      next.resolve()
    }
  }

  /** Lets every model through from now on. */
  openForGood(): void {
    for (const place of ['load', 'run', 'release'] as const) this.open(place, Number.POSITIVE_INFINITY)
  }

  /** Resolves when the test lets this model through. */
  async pass(place: Place): Promise<void> {
    const own = this.#stops[place]
    own.arrived += 1
    for (const { count, reached } of own.arrivals) if (own.arrived >= count) reached.resolve()
    await this.letThrough(place)
  }

  /** Resolves as `pass` does, for a model that is not held up. */
  async letThrough(place: Place): Promise<void> {
    const own = this.#stops[place]
    if (own.permits > 0) {
      own.permits -= 1
      return
    }
    const next = deferred()
    own.held.push(next)
    await next.promise
  }
}

function stop(): Stop {
  return { arrived: 0, permits: 0, held: [], arrivals: [] }
}
