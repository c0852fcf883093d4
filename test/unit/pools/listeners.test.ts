import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ERROR_TABLE } from '../../../src/errors/errors.js'
import { type Asked, disagreement, follow, PoolKit, turn } from '../../support/pool-harness.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const EVENTS = [
  'received',
  'queued',
  'running',
  'settled',
  'replicaLost',
  'replicaStuck',
  'poolFailed',
] as const
type Event = (typeof EVENTS)[number]

const CALLS: Record<string, (world: World) => unknown> = {
  'submits a request': ({ kit, requests }) => requests.push(kit.ask(100)),
  'submits two requests with an abort between': (world) => {
    world.requests.push(world.kit.ask(100))
    world.abort(3)
    world.requests.push(world.kit.ask(101))
  },
  'aborts every request': (world) => [1, 2, 3, 4, 5].map((x) => world.abort(x)),
  'aborts the next request': (world) => world.abort(3),
  'rejects all requests': ({ kit }) => kit.pool.rejectAll(new Error('given up')),
  'drains the pool': ({ kit }) => kit.pool.drain(),
  'stops the pool': ({ kit }) => kit.pool.stop(1_000),
  'makes the pool smaller': ({ kit, calls }) => calls.push(follow(kit.pool.resize(1))),
  'makes the pool larger': ({ kit, calls }) => calls.push(follow(kit.pool.resize(3))),
  'kills an idle replica': ({ kit }) => kit.threads.alive.find((host) => host.task === undefined)?.exit(),
}

/** A pool in which every event occurs once, and a listener of all events. */
class World {
  readonly requests: Asked[] = []
  readonly calls: { isSettled: boolean }[] = []
  readonly problems: string[] = []
  readonly heard = new Set<Event>()
  readonly #controllers = new Map<number, AbortController>()

  readonly kit: PoolKit

  constructor(kit: PoolKit) {
    this.kit = kit
  }

  /** Calls `call` at the next occurrence of `event`. */
  listen(event: Event, call: (world: World) => unknown): void {
    const { tracker } = this.kit
    const hear = (heard: Event): void => {
      const problem = disagreement(this.kit)
      if (problem !== undefined) this.problems.push(`${heard}: ${problem}`)
      if (heard === event && !this.heard.has(event)) {
        this.heard.add(event)
        call(this)
      }
      this.heard.add(heard)
    }
    tracker.on('received', () => hear('received'))
    tracker.on('transition', ({ state }) => {
      if (state === 'queued' || state === 'running') hear(state)
    })
    tracker.on('settled', () => hear('settled'))
    this.kit.onEvent = (what) => hear(what as Event)
  }

  ask(x: number, timeoutMs?: number): void {
    const controller = new AbortController()
    this.#controllers.set(x, controller)
    this.requests.push(this.kit.ask(x, { signal: controller.signal, timeoutMs }))
  }

  abort(x: number): void {
    this.#controllers.get(x)?.abort()
  }

  /** Causes packs, outputs, a deadline, a run that hangs, a crash and the end of the crash budget. */
  async play(): Promise<void> {
    const { threads } = this.kit
    const first = (): void => threads.hosts.find((host) => host.running !== undefined)?.answer()
    this.ask(1)
    this.ask(2)
    for (const x of [3, 4, 5]) this.ask(x)
    await turn()
    first()
    await turn()
    this.ask(6, 20)
    await vi.advanceTimersByTimeAsync(50)
    first()
    await turn()
    for (const x of [7, 8, 9]) this.ask(x)
    // The running replica is quarantined, and one more crash exceeds the budget.
    await vi.advanceTimersByTimeAsync(1_000)
    for (const host of threads.loading) host.finishLoad()
    await turn()
    this.ask(10)
    await turn()
    threads.hosts.find((host) => host.running !== undefined && !host.isTerminated)?.exit()
    await turn()
    this.ask(11)
    await turn()
  }

  /** Completes all runs and loads, then stops the pool. */
  async end(): Promise<void> {
    const { pool, threads } = this.kit
    const stopping = follow(pool.drain().then(() => pool.stop(10_000)))
    for (let round = 0; round < 100 && !stopping.isSettled; round += 1) {
      for (const host of threads.hosts) if (host.running !== undefined) host.answer()
      for (const host of threads.loading) host.finishLoad()
      await vi.advanceTimersByTimeAsync(50)
    }
    expect(stopping.isSettled).toBe(true)
  }
}

describe.each(EVENTS)('a listener of %s', (event) => {
  it.each(Object.keys(CALLS))('that %s sees consistent counts, and no request is lost', async (name) => {
    const kit = await PoolKit.open({
      replicas: 2,
      maxPackMs: 10_000,
      stuckAfterMs: 400,
      crashBudget: 2,
      restartBackoffMs: 10,
    })
    const world = new World(kit)
    world.listen(event, CALLS[name] as (world: World) => unknown)
    await world.play()
    // The call may prevent later events, but never the event that triggers it.
    expect(world.heard).toContain(event)
    await world.end()
    expect(world.problems).toEqual([])
    expect(kit.unexpected).toEqual([])
    expect(kit.pool.leaseCount).toBe(0)
    expect(kit.tracker.active()).toEqual([])
    expect(kit.threads.alive).toEqual([])
    expect(world.calls.filter(({ isSettled }) => !isSettled)).toEqual([])
    for (const { settlements, outcome, code } of world.requests) {
      // A request that is aborted at its creation has settled before it could be counted.
      expect(settlements).toBeLessThanOrEqual(1)
      if (code !== undefined) expect(Object.keys(ERROR_TABLE)).toContain(code)
      else expect(outcome?.y ?? outcome?.error?.message).toBeDefined()
    }
    const { received, completed, failed, ...ends } = kit.tracker.counts().totals
    const over = completed + failed + ends['timed-out'] + ends.cancelled + ends.rejected
    expect(over).toBe(received)
  })
})
