import type { Signature } from '../../src/tensors/tensor.js'
import type { Flaw, HandlerFate, LoadFate, PrepareFate, RunFate, SourceFate } from './program.js'
import type { Random } from './random.js'
import type { SimulatedClock } from './simulated-clock.js'

/** The number added to `x` in the outputs of each pool; one program makes fewer requests than this. */
export const POOL_STRIDE = 4_096

/** The pool that a host belongs to. */
export interface SimulatedPool {
  readonly id: number
  readonly model: string
  readonly version: string
  readonly signature: Signature
}

const MAX_LOAD_MS = 40
const MAX_RUN_MS = 10

/** The fates of the next events of one kind. */
export class Fates<Fate> {
  readonly #usual: Fate
  #fate: Fate
  #left = 0

  constructor(usual: Fate) {
    this.#usual = usual
    this.#fate = usual
  }

  set(fate: Fate, count: number): void {
    this.#fate = fate
    this.#left = count
  }

  next(): Fate {
    if (this.#left === 0) return this.#usual
    this.#left -= 1
    return this.#fate
  }
}

/** The current conditions of the world, and the failures so far: every rejection needs a reason. */
export class Conditions {
  readonly loads = new Fates<LoadFate>('loads')
  readonly runs = new Fates<RunFate>('answers')
  readonly prepares = new Fates<PrepareFate>('none')
  readonly sources = new Fates<SourceFate>('there')
  cleanFate: HandlerFate = 'done'
  makeFate: HandlerFate = 'done'
  /** Memory that other parts of the process hold. */
  pressureBytes = 0
  /** Requests that were in a run that failed, hung, or ended its thread. */
  readonly failed = new Set<number>()
  readonly hung = new Set<number>()
  readonly lost = new Set<number>()
  /** Models of which a load, a preparation or a replica has failed. */
  readonly spoiltModels = new Set<string>()
  /** True once a thread has died or hung. */
  isHarmed = false
  readonly #clock: SimulatedClock
  readonly #random: Random
  readonly #flaw: Flaw | undefined

  constructor(clock: SimulatedClock, random: Random, flaw: Flaw | undefined) {
    this.#clock = clock
    this.#random = random
    this.#flaw = flaw
  }

  /** Makes all later operations succeed. */
  calm(): void {
    this.loads.set('loads', 0)
    this.runs.set('answers', 0)
    this.prepares.set('none', 0)
    this.sources.set('there', 0)
    this.cleanFate = 'done'
    this.makeFate = 'done'
    this.pressureBytes = 0
  }

  loadMs(): number {
    return this.#random.below(MAX_LOAD_MS)
  }

  runMs(): number {
    return this.#random.below(4) === 0 ? this.#random.below(MAX_RUN_MS) : this.#random.next()
  }

  briefMs(): number {
    return this.#random.below(3)
  }

  below(limit: number): number {
    return this.#random.below(limit)
  }

  later(ms: number, run: () => void): void {
    this.#clock.later(ms, run)
  }

  /** Returns true if this world loses outputs or threads, which a correct one never does. */
  loses(what: 'answer' | 'thread'): boolean {
    return this.#flaw === `lost ${what}`
  }

  answer(x: number, { id }: SimulatedPool): Float32Array<ArrayBuffer> {
    return Float32Array.of(x + POOL_STRIDE * (this.#flaw === 'wrong answer' ? id + 1 : id))
  }

  /** Records that a run with these requests has begun. */
  began(pool: SimulatedPool, xs: readonly number[], fate: RunFate): void {
    if (fate === 'answers') return
    if (fate === 'fails') for (const x of xs) this.failed.add(x)
    if (fate === 'hangs') {
      this.isHarmed = true
      this.spoiltModels.add(pool.model)
      for (const x of xs) this.hung.add(x)
    }
  }

  /** Records that a thread has died with these requests in it. */
  died(pool: SimulatedPool, xs: readonly number[]): void {
    this.isHarmed = true
    this.spoiltModels.add(pool.model)
    for (const x of xs) this.lost.add(x)
  }

  /** Records that a load or a preparation fails. */
  spoilt({ model }: { readonly model: string }): void {
    this.isHarmed = true
    this.spoiltModels.add(model)
  }
}
