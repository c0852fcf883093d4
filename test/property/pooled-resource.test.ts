import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { PooledResource } from '../../src/resources/pooled/pooled-resource.js'
import { pooledResourceType } from '../../src/resources/pooled/pooled-resource-type.js'
import { ResourceLifecycleManager } from '../../src/resources/resource-manager.js'
import { follow } from '../support/pool-harness.js'
import { Deferred } from '../support/resource-harness.js'
import { listLogger } from '../support/test-logger.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

type Move =
  | { readonly kind: 'acquire'; readonly timeoutMs: number }
  | { readonly kind: 'make' | 'fail' | 'release' | 'discard' | 'break' | 'abort'; readonly pick: number }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'tick'; readonly microtasks: number }
  | { readonly kind: 'health' }

const pick = fc.nat(9)
const moves: fc.Arbitrary<Move> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('acquire' as const), timeoutMs: fc.nat(300) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom('make' as const, 'release' as const), pick }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('fail' as const, 'discard' as const, 'break' as const, 'abort' as const),
      pick,
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(150) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('tick' as const), microtasks: fc.nat(12) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('health' as const) }) },
)

class Item {
  isBroken = false
  destroyed = 0
}

class Run {
  readonly items: Item[] = []
  readonly held = new Set<Item>()
  readonly callers: { readonly outcome: { isSettled: boolean; error?: unknown } }[] = []
  readonly problems: string[] = []
  readonly manager = new ResourceLifecycleManager({ logger: listLogger([]) })
  readonly #gates = new Set<Deferred>()
  readonly #controllers: AbortController[] = []
  pool!: PooledResource<Item>

  async start(min: number, max: number): Promise<void> {
    this.manager.registerResourceType(
      'pool',
      ...pooledResourceType<Item>({
        create: () => this.#create(),
        destroy: (item) => {
          item.destroyed += 1
        },
        validate: ({ isBroken }) => !isBroken,
        min,
        max,
        createTimeoutMs: 200,
        idleTimeoutMs: 500,
      }),
    )
    const starting = this.manager.initializeResource<PooledResource<Item>>({
      name: 'p',
      resourceType: 'pool',
    })
    await vi.advanceTimersByTimeAsync(0)
    for (const gate of this.#gates) gate.resolve()
    this.#gates.clear()
    this.pool = await starting
  }

  async #create(): Promise<Item> {
    const gate = new Deferred()
    this.#gates.add(gate)
    await gate.promise
    const item = new Item()
    this.items.push(item)
    return item
  }

  acquire(timeoutMs: number): void {
    const controller = new AbortController()
    this.#controllers.push(controller)
    const asking = this.pool.acquire({ timeoutMs, signal: controller.signal }).then((item) => {
      if (this.held.has(item)) this.problems.push('an item has two holders')
      if (item.destroyed > 0) this.problems.push('an item is handed out that was destroyed')
      this.held.add(item)
    })
    this.callers.push({ outcome: follow(asking) })
  }

  release(item: Item, isBroken: boolean): void {
    this.held.delete(item)
    this.pool.release(item, { isBroken })
  }

  async apply(move: Move): Promise<void> {
    const choose = <T>(among: Iterable<T>, index: number): T | undefined => {
      const all = [...among]
      return all[index % Math.max(1, all.length)]
    }
    switch (move.kind) {
      case 'acquire':
        this.acquire(move.timeoutMs)
        break
      case 'make':
      case 'fail': {
        const gate = choose(this.#gates, move.pick)
        if (gate === undefined) break
        this.#gates.delete(gate)
        if (move.kind === 'make') gate.resolve()
        else gate.reject(new Error('refused'))
        break
      }
      case 'release':
      case 'discard': {
        const item = choose(this.held, move.pick)
        if (item !== undefined) this.release(item, move.kind === 'discard')
        break
      }
      case 'break': {
        const item = choose(this.items, move.pick)
        if (item !== undefined) item.isBroken = true
        break
      }
      case 'abort':
        choose(this.#controllers, move.pick)?.abort()
        break
      case 'wait':
        await vi.advanceTimersByTimeAsync(move.ms)
        break
      case 'tick':
        for (let passed = 0; passed < move.microtasks; passed += 1) await undefined
        break
      case 'health':
        this.callers.push({ outcome: follow(this.manager.checkResourceHealth('p')) })
        break
    }
    const { max, used, free, pending } = this.pool.stats()
    expect(used).toBeLessThanOrEqual(max)
    expect(used).toBeGreaterThanOrEqual(this.held.size)
    expect(free).toBeGreaterThanOrEqual(0)
    expect(pending).toBeLessThanOrEqual(this.callers.filter(({ outcome }) => !outcome.isSettled).length)
  }

  /** Completes all pending creations, and releases all items. */
  async letOut(): Promise<void> {
    for (let round = 0; round < 30; round += 1) {
      for (const gate of this.#gates) gate.resolve()
      this.#gates.clear()
      for (const item of [...this.held]) this.release(item, false)
      await vi.advanceTimersByTimeAsync(20)
    }
  }
}

describe('a pooled resource under any order of events', () => {
  it('gives each item to one caller at a time, settles every caller, and destroys each item once', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(2),
        fc.integer({ min: 1, max: 3 }),
        fc.array(moves, { minLength: 10, maxLength: 60, size: 'max' }),
        async (least, max, script) => {
          const run = new Run()
          await run.start(Math.min(least, max), max)
          for (const move of script) await run.apply(move)
          await run.letOut()

          // Whatever happened, as many items can be acquired as the maximum allows.
          const before = run.callers.length
          for (let waiting = 0; waiting < max; waiting += 1) run.acquire(10_000)
          for (let round = 0; round < 10; round += 1) {
            await run.apply({ kind: 'make', pick: 0 })
            await vi.advanceTimersByTimeAsync(20)
          }
          expect(run.held.size).toBe(max)
          expect(run.callers.slice(before).every(({ outcome }) => outcome.error === undefined)).toBe(true)

          const closing = follow(run.manager.close())
          await run.letOut()
          await vi.advanceTimersByTimeAsync(10_000)
          expect(closing).toMatchObject({ isSettled: true })
          expect(closing.error).toBeUndefined()
          expect(run.problems).toEqual([])
          expect(run.callers.filter(({ outcome }) => !outcome.isSettled)).toEqual([])
          expect(run.items.filter(({ destroyed }) => destroyed !== 1)).toEqual([])
          vi.clearAllTimers()
        },
      ),
      { numRuns: 200 },
    )
  }, 60_000)
})
