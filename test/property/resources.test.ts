import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ERROR_TABLE } from '../../src/errors/errors.js'
import { LIFECYCLE_STATES, type LifecycleState, TRANSITIONS } from '../../src/lifecycle/state-machine.js'
import { ResourceLifecycleManager } from '../../src/resources/resource-manager.js'
import { follow, turn } from '../support/pool-harness.js'
import { Deferred } from '../support/resource-harness.js'
import { listLogger } from '../support/test-logger.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const NAMES = ['a', 'b', 'c', 'd', 'e'] as const
type Name = (typeof NAMES)[number]

const CLEANUP_TIMEOUT_MS = 200

/** The behaviour of a function: it ends by itself, or when the test lets it. */
const ENDINGS = ['succeeds', 'fails', 'waits'] as const
type Ending = (typeof ENDINGS)[number]

type Move =
  | {
      readonly kind: 'init'
      readonly name: Name
      readonly dependsOn: readonly Name[]
      readonly init: Ending
      readonly clean: Ending
      readonly attempts: number
    }
  | { readonly kind: 'cleanup'; readonly name: Name }
  | { readonly kind: 'cleanup-all'; readonly timeoutMs: number | undefined }
  | { readonly kind: 'let' | 'let-fail'; readonly pick: number }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'tick'; readonly microtasks: number }

const name = fc.constantFrom(...NAMES)
const ending = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Ending>('succeeds') },
  { weight: 1, arbitrary: fc.constant<Ending>('fails') },
  { weight: 2, arbitrary: fc.constant<Ending>('waits') },
)
const move: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('init' as const),
      name,
      dependsOn: fc.uniqueArray(name, { maxLength: 2 }),
      init: ending,
      clean: ending,
      attempts: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('cleanup' as const), name }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('cleanup-all' as const),
      timeoutMs: fc.option(fc.nat(300), { nil: undefined }),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('let' as const), pick: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('let-fail' as const), pick: fc.nat(9) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(150) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('tick' as const), microtasks: fc.nat(12) }) },
)

/** A value that an initializer of the test creates. */
class Thing {
  cleaned: 'no' | 'begun' | 'over' = 'no'
  readonly name: string
  readonly clean: Ending
  readonly uses: readonly Thing[]

  constructor(name: string, clean: Ending, uses: readonly Thing[]) {
    this.name = name
    this.clean = clean
    this.uses = uses
  }
}

class Run {
  readonly things: Thing[] = []
  readonly cleanedInOrder: Thing[] = []
  readonly broken: string[] = []
  readonly calls: { readonly outcome: ReturnType<typeof follow<unknown>>; readonly what: string }[] = []
  readonly manager = new ResourceLifecycleManager({
    logger: listLogger([]),
    cleanupTimeoutMs: CLEANUP_TIMEOUT_MS,
  })
  readonly #gates = new Set<Deferred>()
  readonly #states = new Map<string, LifecycleState>()

  constructor() {
    this.manager.on('transition', ({ component, from, to }) => {
      if (from !== (this.#states.get(component) ?? 'uninitialized'))
        this.broken.push(`${component}: ${from}?`)
      if (!TRANSITIONS[from].includes(to)) this.broken.push(`${component}: ${from}>${to}`)
      this.#states.set(component, to)
    })
    this.manager.registerResourceType<Thing, Extract<Move, { kind: 'init' }>>(
      'thing',
      async (config, context) => {
        await this.#end(config.init)
        const thing = new Thing(
          context.name,
          config.clean,
          config.dependsOn.map((other) => context.resource<Thing>(other)),
        )
        this.things.push(thing)
        return thing
      },
      async (thing) => {
        if (thing.cleaned !== 'no') this.broken.push(`${thing.name} is cleaned twice`)
        thing.cleaned = 'begun'
        this.cleanedInOrder.push(thing)
        // A dependent is already being cleaned up, and has had its time.
        for (const other of this.things) {
          if (other.uses.includes(thing) && other.cleaned === 'no') {
            this.broken.push(`${thing.name} is cleaned before ${other.name}, which uses it`)
          }
        }
        await this.#end(thing.clean)
        thing.cleaned = 'over'
      },
    )
  }

  async #end(how: Ending): Promise<void> {
    if (how === 'fails') throw new Error('as it was told')
    if (how === 'succeeds') return
    const gate = new Deferred()
    this.#gates.add(gate)
    await gate.promise
  }

  follow(what: string, promise: Promise<unknown>): void {
    this.calls.push({ what, outcome: follow(promise) })
  }

  async apply(move: Move): Promise<void> {
    const { manager } = this
    switch (move.kind) {
      case 'init': {
        // Other dependencies would be refused, which happens often enough, since the state of known ones can
        // be wrong.
        const known = manager.listResources().filter(({ state }) => state !== 'stopped')
        const dependsOn = move.dependsOn.filter((other) => known.some((info) => info.name === other))
        this.follow(
          'init',
          manager.initializeResource({
            name: move.name,
            resourceType: 'thing',
            config: { ...move, dependsOn },
            dependsOn,
            timeoutMs: 120,
            retry: { attempts: move.attempts, minDelayMs: 10, maxDelayMs: 20 },
          }),
        )
        break
      }
      case 'cleanup':
        this.follow('cleanup', manager.cleanupResource(move.name))
        break
      case 'cleanup-all': {
        const { timeoutMs } = move
        this.follow('cleanup', manager.cleanupAll(timeoutMs === undefined ? {} : { timeoutMs }))
        break
      }
      case 'let':
      case 'let-fail': {
        const gates = [...this.#gates]
        const gate = gates[move.pick % Math.max(1, gates.length)]
        if (gate === undefined) break
        this.#gates.delete(gate)
        if (move.kind === 'let') gate.resolve()
        else gate.reject(new Error('as it was let'))
        break
      }
      case 'wait':
        await vi.advanceTimersByTimeAsync(move.ms)
        break
      case 'tick':
        for (let passed = 0; passed < move.microtasks; passed += 1) await undefined
        break
    }
    for (const { state } of manager.listResources()) expect(LIFECYCLE_STATES).toContain(state)
  }

  /** Completes all waiting calls. */
  async letOut(): Promise<void> {
    for (let round = 0; round < 20; round += 1) {
      for (const gate of this.#gates) gate.resolve()
      this.#gates.clear()
      await vi.advanceTimersByTimeAsync(50)
    }
  }

  get running(): string[] {
    return this.manager
      .listResources()
      .filter(({ state }) => state === 'running')
      .map((info) => info.name)
  }
}

describe('resources under any order of events', () => {
  it('are in legal states, and each created value is cleaned up once, before its dependencies', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(move, { minLength: 15, maxLength: 60, size: 'max' }), async (moves) => {
        const run = new Run()
        for (const each of moves) await run.apply(each)
        await run.letOut()
        await run.letOut()

        // Nothing is in progress now, so running resources are cleaned up in the exact reverse order of
        // initialisation.
        const { manager, cleanedInOrder, things } = run
        const before = cleanedInOrder.length
        const order = run.running
          .map((each) => manager.getResource<Thing>(each))
          .sort((one, other) => things.indexOf(other) - things.indexOf(one))
        const closing = follow(manager.close())
        await run.letOut()
        expect(closing.isSettled).toBe(true)
        expect(cleanedInOrder.slice(before)).toEqual(order)

        await manager.cleanupAll()
        expect(manager.listResources().filter(({ state }) => state !== 'stopped')).toEqual([])
        expect(run.broken).toEqual([])
        expect(things.filter(({ cleaned }) => cleaned === 'no')).toEqual([])
        expect(new Set(cleanedInOrder).size).toBe(things.length)
        expect(cleanedInOrder).toHaveLength(things.length)
        for (const { outcome, what } of run.calls) {
          expect(outcome.isSettled, what).toBe(true)
          if (outcome.error !== undefined) expect(Object.keys(ERROR_TABLE)).toContain(outcome.error.code)
        }
        expect(vi.getTimerCount()).toBe(0)
        await turn()
      }),
      { numRuns: 200 },
    )
  }, 60_000)
})
