import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ERROR_TABLE } from '../../src/errors/errors.js'
import { type Asked, disagreement, follow, PoolKit, turn } from '../support/pool-harness.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** One event; `pick` chooses among the requests or replicas that it can happen to. */
type Move =
  | { readonly kind: 'submit'; readonly timeoutMs: number | undefined }
  | {
      readonly kind: 'answer' | 'fail' | 'crash' | 'abort' | 'kill-idle' | 'load' | 'fail-load'
      readonly pick: number
    }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'resize'; readonly replicas: number }
  | { readonly kind: 'drain' | 'stop' | 'reject-all' }

const pick = fc.nat(50)
const moves: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('submit' as const),
      timeoutMs: fc.option(fc.nat(300), { nil: undefined }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('answer' as const), pick }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom('fail' as const, 'crash' as const, 'kill-idle' as const),
      pick,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('abort' as const), pick }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('load' as const), pick }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('fail-load' as const), pick }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(400) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('resize' as const), replicas: fc.integer({ min: 1, max: 4 }) }),
  },
)
const endings: fc.Arbitrary<Move> = fc.record({
  kind: fc.constantFrom('drain' as const, 'stop' as const, 'reject-all' as const),
})

const settings = fc.record({
  replicas: fc.integer({ min: 1, max: 3 }),
  maxQueue: fc.integer({ min: 0, max: 6 }),
  crashBudget: fc.integer({ min: 0, max: 4 }),
  stuckAfterMs: fc.constantFrom(0, 250),
  maxPackMs: fc.constantFrom(0, 4),
})

/** The reaction of a listener of the application to an event. */
type Reaction = 'nothing' | 'submit' | 'abort' | 'resize' | 'reject-all' | 'stop'
/** One reaction for each event, in order. */
const reactions = fc.array(
  fc.constantFrom<Reaction>(
    'nothing',
    'nothing',
    'submit',
    'submit',
    'abort',
    'resize',
    'reject-all',
    'stop',
  ),
  { minLength: 1, maxLength: 30 },
)

class Run {
  readonly requests: { one: Asked; controller: AbortController; x: number }[] = []
  #x = 0
  readonly resizes: { isSettled: boolean; error?: Error & { code?: string } }[] = []
  #isStopped = false
  #mostReplicas: number
  /** Counts that were inconsistent when a listener read them. */
  readonly problems: string[] = []

  readonly kit: PoolKit

  constructor(kit: PoolKit) {
    this.kit = kit
    this.#mostReplicas = kit.settings.replicas
  }

  /** Listens to all events, and calls back into the pool. */
  react(reactions: readonly Reaction[]): void {
    let heard = 0
    const hear = (event: string): void => {
      const problem = disagreement(this.kit)
      if (problem !== undefined) this.problems.push(`${event}: ${problem}`)
      // A program whose listener always submits another request would never end.
      if (heard >= reactions.length) return
      const next = reactions[heard]
      heard += 1
      if (next === 'submit') this.#submit(undefined)
      else if (next === 'abort') this.requests[heard % Math.max(1, this.requests.length)]?.controller.abort()
      else if (next === 'resize') void this.kit.pool.resize(1 + (heard % 3)).catch(() => undefined)
      else if (next === 'reject-all') this.kit.pool.rejectAll(new Error('given up'))
      else if (next === 'stop') this.#stop()
    }
    this.kit.tracker.on('transition', ({ state }) => hear(state))
    this.kit.tracker.on('settled', () => hear('settled'))
    this.kit.onEvent = hear
  }

  #submit(timeoutMs: number | undefined): void {
    this.#x += 1
    const x = this.#x
    const controller = new AbortController()
    const one = this.kit.ask(x, { signal: controller.signal, timeoutMs })
    this.requests.push({ one, controller, x })
  }

  #stop(): void {
    this.#isStopped = true
    void this.kit.pool.stop(500)
  }

  /** Applies a move; `isChecked` compares the counts afterwards, which no listener changes meanwhile. */
  async apply(move: Move, isChecked = true): Promise<void> {
    const { threads, pool } = this.kit
    const choose = <T>(among: readonly T[], index: number): T | undefined =>
      among[index % Math.max(1, among.length)]
    switch (move.kind) {
      case 'submit':
        this.#submit(move.timeoutMs)
        break
      case 'answer':
      case 'fail':
      case 'crash': {
        const host = choose(
          threads.hosts.filter((each) => each.running !== undefined),
          move.pick,
        )
        if (move.kind === 'answer') host?.answer()
        else if (move.kind === 'fail') host?.failRun()
        else host?.exit()
        break
      }
      case 'kill-idle':
        choose(
          threads.alive.filter((host) => host.task === undefined),
          move.pick,
        )?.exit()
        break
      case 'load':
        choose(threads.loading, move.pick)?.finishLoad()
        break
      case 'fail-load':
        choose(threads.loading, move.pick)?.failLoad()
        break
      case 'abort':
        choose(this.requests, move.pick)?.controller.abort()
        break
      case 'wait':
        await vi.advanceTimersByTimeAsync(move.ms)
        break
      case 'resize':
        this.#mostReplicas = Math.max(this.#mostReplicas, move.replicas)
        this.resizes.push(follow(pool.resize(move.replicas)))
        break
      case 'drain':
        void pool.drain()
        break
      case 'stop':
        this.#stop()
        break
      case 'reject-all':
        pool.rejectAll(new Error('given up'))
        break
    }
    await turn()
    if (isChecked) this.checkCounts()
  }

  /** Checks that `stats()` agrees with the state of the replicas and of the requests. */
  checkCounts(): void {
    const { pool, threads } = this.kit
    const { queued, inFlight, idle, busy, starting, replicas } = pool.stats()
    const open = this.requests.filter(({ one }) => !one.request.isSettled)
    expect(pool.leaseCount).toBe(open.length)
    expect(queued + inFlight).toBe(open.length)
    expect(queued).toBe(open.filter(({ one }) => one.request.stage === 'queued').length)
    // A pool that is being stopped has replicas in none of these states.
    if (!this.#isStopped) expect(idle + busy + starting).toBe(replicas)
    expect(replicas).toBeLessThanOrEqual(this.#mostReplicas)
    expect(queued).toBeLessThanOrEqual(this.kit.settings.maxQueue)
    // No request waits while a replica is idle.
    if (idle > 0) expect(queued).toBe(0)
    const inThreads = new Set(threads.runs)
    for (const { one, x } of open) {
      // Requests of a pack whose replica is gone may wait for another replica.
      const isBetween = this.kit.settings.maxPackMs > 0 && idle === 0
      if (one.request.stage === 'in-flight' && !isBetween) expect(inThreads).toContain(x)
    }
    for (const { one } of this.requests) expect(one.settlements).toBe(one.request.isSettled ? 1 : 0)
  }
}

/** Completes all runs and loads, again and again, until `isOver()`. */
async function letOut(kit: PoolKit, isOver: () => boolean): Promise<void> {
  for (let round = 0; round < 200 && !isOver(); round += 1) {
    for (const host of kit.threads.hosts) if (host.running !== undefined) host.answer()
    for (const host of kit.threads.loading) host.finishLoad()
    await vi.advanceTimersByTimeAsync(50)
  }
}

describe('a pool under any order of events', () => {
  it('settles every request once with its own outputs or a known error code, and counts exactly', async () => {
    await fc.assert(
      fc.asyncProperty(
        settings,
        fc.array(moves, { maxLength: 60 }),
        endings,
        fc.array(moves, { maxLength: 20 }),
        async (settings, before, ending, after) => {
          const kit = new PoolKit({
            ...settings,
            crashWindowMs: 1000,
            restartBackoffMs: 50,
            loadTimeoutMs: 5000,
          })
          const starting = follow(kit.pool.start())
          await kit.load(settings.replicas)
          expect(starting.isSettled).toBe(true)
          const run = new Run(kit)
          for (const move of [...before, ending, ...after]) await run.apply(move)

          // At the end all runs and loads complete, then the pool stops.
          const draining = follow(kit.pool.drain())
          await letOut(kit, () => draining.isSettled)
          expect(draining.isSettled).toBe(true)
          const stopping = follow(kit.pool.stop(10_000))
          await letOut(kit, () => stopping.isSettled && run.resizes.every((one) => one.isSettled))

          expect(stopping.value).toEqual([])
          expect(kit.pool.leaseCount).toBe(0)
          expect(kit.threads.alive).toEqual([])
          expect(kit.failed.length).toBeLessThanOrEqual(1)
          for (const { one, x } of run.requests) {
            expect(one.settlements).toBe(1)
            const { y, error } = one.outcome ?? {}
            if (error === undefined) expect(y).toBe(x)
            else if (error.message !== 'given up') expect(Object.keys(ERROR_TABLE)).toContain(error.code)
          }
          for (const { isSettled, error } of run.resizes) {
            expect(isSettled).toBe(true)
            if (error !== undefined) expect(Object.keys(ERROR_TABLE)).toContain(error.code)
          }
          vi.clearAllTimers()
        },
      ),
      { numRuns: 300 },
    )
  }, 60_000)

  it('shows consistent counts to a listener that calls it, and loses none of its requests', async () => {
    await fc.assert(
      fc.asyncProperty(
        settings,
        reactions,
        fc.array(moves, { maxLength: 40 }),
        async (settings, back, program) => {
          const kit = new PoolKit({
            ...settings,
            crashWindowMs: 1000,
            restartBackoffMs: 50,
            loadTimeoutMs: 5000,
          })
          const starting = kit.pool.start()
          await kit.load(settings.replicas)
          await starting
          const run = new Run(kit)
          run.react(back)
          for (const move of program) await run.apply(move, false)
          const stopping = follow(kit.pool.drain().then(() => kit.pool.stop(10_000)))
          await letOut(kit, () => stopping.isSettled)
          expect(stopping.value).toEqual([])
          expect(run.problems).toEqual([])
          expect(kit.unexpected).toEqual([])
          expect(kit.pool.leaseCount).toBe(0)
          expect(kit.tracker.active()).toEqual([])
          expect(kit.threads.alive).toEqual([])
          for (const { one, x } of run.requests) {
            const { y, error } = one.outcome ?? {}
            if (error === undefined) expect(y).toBe(x)
            else if (error.message !== 'given up') expect(Object.keys(ERROR_TABLE)).toContain(error.code)
          }
          vi.clearAllTimers()
        },
      ),
      { numRuns: 300 },
    )
  }, 60_000)

  it('ends with the number of replicas of its last resize', async () => {
    await fc.assert(
      fc.asyncProperty(
        settings,
        fc.array(moves, { maxLength: 60 }),
        fc.integer({ min: 1, max: 4 }),
        fc.array(
          moves.filter(({ kind }) => kind !== 'resize'),
          { maxLength: 20 },
        ),
        async (settings, before, replicas, after) => {
          // This property does not cover quarantine, so no replica is quarantined.
          const kit = new PoolKit({ ...settings, crashBudget: 1000, stuckAfterMs: 0, loadTimeoutMs: 0 })
          const starting = kit.pool.start()
          await kit.load(settings.replicas)
          await starting
          const run = new Run(kit)
          for (const move of before) await run.apply(move)
          await run.apply({ kind: 'resize', replicas })
          for (const move of after) await run.apply(move)
          const last = run.resizes.at(-1)
          const isAtRest = (): boolean =>
            kit.pool.leaseCount === 0 && kit.pool.stats().idle === kit.pool.wanted
          await letOut(kit, () => last?.isSettled === true && isAtRest())
          expect(run.resizes.filter(({ isSettled }) => !isSettled)).toEqual([])
          // Otherwise a load failed on purpose.
          if (last?.error === undefined) expect(kit.pool.wanted).toBe(replicas)
          expect(kit.pool.stats()).toMatchObject({ replicas: kit.pool.wanted, idle: kit.pool.wanted })
          expect(kit.threads.alive).toHaveLength(kit.pool.wanted)
          vi.clearAllTimers()
        },
      ),
      { numRuns: 300 },
    )
  }, 60_000)

  it('returns outputs in the order of arrival when it has one replica', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.boolean(), { maxLength: 40 }), async (script) => {
        const kit = await PoolKit.open({ maxQueue: 1000 })
        const order: number[] = []
        let submitted = 0
        for (const isSubmit of script) {
          if (isSubmit) {
            submitted += 1
            const x = submitted
            void kit.ask(x).request.promise.then(() => order.push(x))
          } else {
            kit.threads.hosts[0]?.running !== undefined && kit.threads.hosts[0]?.answer()
          }
          await turn()
        }
        while (kit.threads.runs.length > 0) await kit.answer(kit.threads.runs[0] as number)
        expect(order).toEqual(Array.from({ length: submitted }, (_, i) => i + 1))
      }),
      { numRuns: 100 },
    )
  }, 30_000)
})
