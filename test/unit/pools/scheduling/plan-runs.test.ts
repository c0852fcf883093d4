import { describe, expect, it } from 'vitest'
import { systemClock } from '../../../../src/platform/clock.js'
import { Batching, type BatchingSettings } from '../../../../src/pools/batching/batching.js'
import { CostModel } from '../../../../src/pools/queue/cost-model.js'
import { RequestQueue } from '../../../../src/pools/queue/request-queue.js'
import { RunRequest, type RunRequestOptions } from '../../../../src/pools/queue/run-request.js'
import type { ShapeBucket } from '../../../../src/pools/queue/shape-bucket.js'
import { couldGrow, planRuns, type SchedulingInput } from '../../../../src/pools/scheduling/plan-runs.js'
import type { RunCost } from '../../../../src/protocol/replica/proof.js'
import type { Signature } from '../../../../src/tensors/tensor.js'

const signature: Signature = {
  inputs: [
    { name: 'x', type: 'float32', dims: ['batch', 'width'] },
    { name: 'rate', type: 'float32', dims: [] },
  ],
  outputs: [{ name: 'y', type: 'float32', dims: ['batch', 1] }],
}
const settings: BatchingSettings = {
  maxRows: 100,
  maxDelayMs: 0,
  tolerance: { rtol: 1e-4, atol: 1e-6 },
  proofBudgetMs: 10,
}
/** Costs of 0.1 ms a run and 0.02 ms a row, at which batches pay off. */
const CHEAP: RunCost[] = [1, 2, 8, 32].map((rows) => ({ rows, ms: 0.1 + 0.02 * rows }))
/** Costs of 5 ms a row and nothing for the run, at which batches do not pay off. */
const STEEP: RunCost[] = [1, 2, 8].map((rows) => ({ rows, ms: 5 * rows }))

interface Asked extends RunRequestOptions {
  readonly rows?: number
  readonly width?: number
  readonly rate?: number
}

class Bench {
  readonly queue = new RequestQueue()
  readonly batching: Batching
  readonly costs = new CostModel()
  nowMs = performance.now()

  /** Requests of that width, and of rate 1, have the proven shape. */
  constructor(costs: RunCost[] | undefined, options: Partial<BatchingSettings> = {}, width = 2) {
    const proof =
      costs === undefined
        ? ({ state: 'refused', reason: 'no' } as const)
        : ({
            state: 'proven',
            plan: { inputs: [0, -1], outputs: [0], padding: undefined },
            maxRows: 64,
            costs,
            sample: [
              { type: 'float32', dims: [1, width], data: [] as never },
              { type: 'float32', dims: [], data: Float32Array.of(1) },
            ],
            paddingRefusal: undefined,
          } as const)
    this.batching = new Batching({ ...settings, ...options }, { proof })
    this.batching.open(signature)
  }

  ask({ rows = 1, width = 2, rate = 1, ...options }: Asked = {}): RunRequest {
    const request = new RunRequest(systemClock, 'm', '1', options)
    request.promise.catch(() => undefined)
    request.inputs = [
      { type: 'float32', dims: [rows, width], data: new Float32Array(rows * width) },
      { type: 'float32', dims: [], data: Float32Array.of(rate) },
    ]
    request.lease = {
      settled: (settled) => {
        if (settled.stage === 'queued') this.queue.remove(settled)
      },
    }
    request.bucket = this.batching.bucketOf(request)
    this.queue.push(request)
    return request
  }

  many(count: number, options: Asked = {}): RunRequest[] {
    return Array.from({ length: count }, () => this.ask(options))
  }

  choice(change: Partial<SchedulingInput> = {}): SchedulingInput {
    const { queue, batching, costs, nowMs } = this
    const limits = { maxPackMs: 2, maxPackBytes: 2 ** 20, outputBytes: 0 }
    return { queue, batching, costs, idle: 1, replicas: 2, nowMs, ...limits, ...change }
  }

  /** Returns the number of requests in each run of the next pack. */
  next(change: Partial<SchedulingInput> = {}): number[] {
    return planRuns(this.choice(change)).map(({ requests }) => requests.length)
  }
}

describe('the plan of the next pack', () => {
  it('is empty when no request waits', () => {
    expect(new Bench(CHEAP).next()).toEqual([])
  })

  it('has one run while the run time is unknown', () => {
    const bench = new Bench(undefined)
    bench.many(10)
    expect(bench.next()).toEqual([1])
  })

  it('has as many runs as fit into maxPackMs', () => {
    const bench = new Bench(undefined)
    bench.costs.observe(1, 0.5)
    bench.many(10)
    expect(bench.next()).toEqual([1, 1, 1, 1])
    expect(bench.next({ maxPackMs: 0 })).toEqual([1])
    expect(bench.queue.size).toBe(5)
  })

  it('has half of the backlog of each replica, up to four times maxPackMs', () => {
    const bench = new Bench(undefined)
    bench.costs.observe(1, 0.5)
    bench.many(24)
    expect(bench.next()).toHaveLength(6)
    bench.many(200)
    expect(bench.next()).toHaveLength(16)
    expect(bench.next({ replicas: 60 })).toHaveLength(4)
  })

  it('has as many runs as fit into maxPackBytes, or one larger run', () => {
    const bench = new Bench(undefined)
    bench.costs.observe(1, 0.01)
    // Each request has 2,000 bytes of x and 4 of the rate.
    bench.many(10, { width: 500 })
    expect(bench.next({ maxPackBytes: 8_016 })).toEqual([1, 1, 1, 1])
    expect(bench.next({ maxPackBytes: 8_015 })).toEqual([1, 1, 1])
    expect(bench.next({ maxPackBytes: 100 })).toEqual([1])
    expect(bench.next({ maxPackBytes: 5_000, outputBytes: 300 })).toEqual([1, 1])
  })

  it('does not count the bytes of transferred inputs', () => {
    const bench = new Bench(undefined)
    bench.costs.observe(1, 0.01)
    bench.many(10, { width: 500, transfer: true })
    expect(bench.next({ maxPackBytes: 100 })).toHaveLength(10)
  })

  it('leaves other idle replicas their share', () => {
    const bench = new Bench(undefined)
    bench.costs.observe(1, 0.1)
    bench.many(10)
    expect(bench.next({ idle: 2 })).toHaveLength(5)
    expect(bench.next({ idle: 1 })).toHaveLength(5)
  })

  it('has all runs when they are too short for two messages', () => {
    const bench = new Bench(undefined)
    bench.costs.observe(1, 0.001)
    bench.many(10)
    expect(bench.next({ idle: 2 })).toHaveLength(10)
  })

  it('drops requests that have missed their deadline', () => {
    const bench = new Bench(undefined)
    const [late, inTime] = [bench.ask({ timeoutMs: 5 }), bench.ask()]
    const runs = planRuns(bench.choice({ nowMs: late.deadlineAtMs }))
    expect(runs.map(({ requests }) => requests)).toEqual([[inTime]])
    expect(late.isSettled).toBe(true)
  })

  it('ends before one of its requests misses its deadline', () => {
    const bench = new Bench(undefined)
    bench.costs.observe(1, 0.5)
    const first = bench.ask({ timeoutMs: 1_000 })
    bench.many(5)
    expect(bench.next({ nowMs: first.deadlineAtMs - 1.2 })).toEqual([1, 1])
  })

  it('begins with the highest priority, except for requests that have waited long enough', () => {
    const bench = new Bench(undefined)
    const low = bench.ask({ priority: -2 })
    const normal = bench.ask()
    const high = bench.ask({ priority: 2 })
    const order = (): (RunRequest | undefined)[] =>
      [0, 1, 2].map(() => planRuns(bench.choice())[0]?.requests[0])
    expect(order()).toEqual([high, normal, low])
  })
})

describe('a planned batch', () => {
  it('takes the waiting requests, up to the proven number of rows', () => {
    const bench = new Bench(CHEAP)
    bench.many(100)
    expect(bench.next()[0]).toBe(64)
  })

  it('is no larger than pays off', () => {
    // A run costs 0.02 ms, which is less than a twentieth of 70 rows of 0.02 ms.
    const bench = new Bench([1, 2, 8, 32].map((rows) => ({ rows, ms: 0.02 + 0.1 * rows })))
    bench.many(64)
    expect(bench.next({ maxPackMs: 0 })[0]).toBeLessThan(16)
  })

  it('is split among idle replicas where that is faster', () => {
    const bench = new Bench(CHEAP)
    bench.many(60)
    expect(bench.next({ idle: 2, maxPackMs: 0 })).toEqual([30])
  })

  it('is not planned where it does not pay off', () => {
    const bench = new Bench(STEEP)
    bench.many(10)
    expect(bench.next()).toEqual([1])
  })

  it('is cut so that it ends before the first deadline', () => {
    const bench = new Bench(CHEAP)
    const first = bench.ask({ timeoutMs: 1_000 })
    bench.many(40)
    const [size = 0] = bench.next({ nowMs: first.deadlineAtMs - 0.5, maxPackMs: 0 })
    expect(size).toBeGreaterThan(10)
    expect(size).toBeLessThanOrEqual(20)
  })

  it('has requests of one shape, with equal shared inputs and the same outputs', () => {
    const bench = new Bench(CHEAP)
    const kinds: Asked[] = [{}, { width: 3 }, { rate: 2 }, { rate: -0 }, { rate: 0 }, { outputs: ['y'] }]
    for (let turn = 0; turn < 5; turn += 1) for (const kind of kinds) bench.ask(kind)
    const runs = planRuns(bench.choice({ maxPackMs: 1_000 }))
    // Four requests of an unproven shape are a trial.
    expect(runs.map(({ requests }) => requests.length)).toEqual([5, 4, 4, 4, 4, 5, 1, 1, 1, 1])
    for (const { requests } of runs) expect(new Set(requests.map(({ bucket }) => bucket)).size).toBe(1)
  })

  it('counts all rows of a request', () => {
    const bench = new Bench(CHEAP)
    bench.many(10, { rows: 20 })
    const [run] = planRuns(bench.choice({ maxPackMs: 0 }))
    expect(run?.rows).toBe(60)
    expect(run?.requests).toHaveLength(3)
  })

  it('has up to four times maxPackBytes', () => {
    const bench = new Bench(CHEAP, {}, 500)
    const [head] = bench.many(40, { width: 500 }) as [RunRequest]
    const limits = { maxPackMs: 0, maxPackBytes: 10_000 }
    expect(couldGrow(bench.choice(limits), head)).toBe(false)
    expect(bench.next(limits)).toEqual([19])
    // The same holds for requests of different sizes.
    const other = new Bench(CHEAP, {}, 500)
    other.many(1, { width: 500 })
    other.many(30, { width: 500, rows: 2 })
    expect(other.next(limits)).toEqual([10])
  })

  it('shares maxPackBytes with the other runs of its pack', () => {
    const bench = new Bench(CHEAP, { maxRows: 4 }, 500)
    bench.many(12, { width: 500 })
    expect(bench.next({ maxPackMs: 1_000, maxPackBytes: 17_000 })).toEqual([4, 4])
  })

  it('contains no request that opted out, transfers its inputs, or has no rows or more rows than are proven', () => {
    const bench = new Bench(CHEAP)
    bench.many(3, { batch: false })
    bench.many(3, { transfer: true })
    bench.many(2, { rows: 65 })
    bench.many(2, { rows: 0 })
    expect(new Set(bench.next({ maxPackMs: 1_000 }))).toEqual(new Set([1]))
  })

  it('prefers requests of higher priority with the same shape', () => {
    const bench = new Bench(CHEAP, { maxRows: 3 })
    bench.many(4)
    const high = bench.many(2, { priority: 1 })
    const [run] = planRuns(bench.choice({ maxPackMs: 0 }))
    expect(run?.requests.slice(0, 2)).toEqual(high)
    expect(run?.requests).toHaveLength(3)
  })

  it('could grow up to the proven number of rows', () => {
    const bench = new Bench(CHEAP)
    const head = bench.ask()
    expect(couldGrow(bench.choice(), head)).toBe(true)
    bench.many(63)
    expect(couldGrow(bench.choice(), head)).toBe(false)
    const steep = new Bench(STEEP)
    expect(couldGrow(steep.choice(), steep.ask())).toBe(false)
  })
})

describe('a batch of an unproven shape', () => {
  const OTHER: Asked = { width: 3 }
  const passed = { isTelling: true, reason: undefined }
  const silent = { isTelling: false, reason: undefined }
  const refused = { isTelling: true, reason: 'it answers otherwise' }

  /** Returns a bench with 400 waiting requests of an unproven shape. */
  function waiting(): { bench: Bench; bucket: ShapeBucket<RunRequest>; next: () => number | undefined } {
    const bench = new Bench(CHEAP)
    const [head] = bench.many(400, OTHER) as [RunRequest]
    return {
      bench,
      bucket: head.bucket as ShapeBucket<RunRequest>,
      next: () => bench.next({ maxPackMs: 0 })[0],
    }
  }

  it('is a trial of four requests, then of four times as many as have passed', () => {
    const { bench, bucket, next } = waiting()
    for (const size of [4, 16, 64]) {
      const requests = bench.many(2, OTHER) as [RunRequest, RunRequest]
      expect(bench.batching.trialOf(requests, size)).toEqual({
        tolerance: settings.tolerance,
        lengths: undefined,
      })
      expect(next()).toBe(size)
      bench.batching.learnShape(bucket, size, passed)
      expect(bench.batching.trialOf(requests, size)).toBeUndefined()
    }
    expect(next()).toBe(64)
    expect(bench.batching.stats()).toMatchObject({ checks: 3, shapeRefusal: undefined })
  })

  it('is not planned again after a trial was refused, even if another trial passed', () => {
    const { bench, bucket, next } = waiting()
    expect(next()).toBe(4)
    bench.batching.learnShape(bucket, 4, refused)
    // This trial was running on another replica.
    bench.batching.learnShape(bucket, 4, passed)
    for (let turn = 0; turn < 50; turn += 1) expect(next()).toBe(1)
    expect(bench.batching.stats()).toMatchObject({ state: 'proven', shapeRefusal: 'it answers otherwise' })
    const proven = new Bench(CHEAP)
    proven.many(5)
    expect(proven.next({ maxPackMs: 0 })).toEqual([5])
  })

  it('is tried less and less often while trials are inconclusive', () => {
    const { bench, bucket, next } = waiting()
    const sizes = Array.from({ length: 100 }, () => {
      const size = next() as number
      if (size > 1) bench.batching.learnShape(bucket, size, silent)
      return size
    })
    const trials = sizes.flatMap((size, turn) => (size > 1 ? [turn] : []))
    expect(trials.length).toBeGreaterThan(2)
    expect(trials.length).toBeLessThan(6)
    const gaps = trials.slice(1).map((turn, index) => turn - (trials[index] as number))
    expect(gaps).toEqual(gaps.toSorted((a, b) => a - b))
  })

  it('keeps the size that has passed while larger trials are inconclusive', () => {
    const { bench, bucket, next } = waiting()
    next()
    bench.batching.learnShape(bucket, 4, passed)
    expect(next()).toBe(16)
    bench.batching.learnShape(bucket, 16, silent)
    expect([next(), next()]).toEqual([4, 4])
  })

  it('is not planned if running its requests one by one afterwards would miss a deadline', () => {
    const bench = new Bench(CHEAP)
    // They take 0.12 ms each alone, and 0.18 ms together.
    const [first] = bench.many(4, { ...OTHER, timeoutMs: 1_000 }) as [RunRequest]
    expect(bench.next({ nowMs: first.deadlineAtMs - 0.5, maxPackMs: 0 })).toEqual([1])
    expect(bench.next({ nowMs: first.deadlineAtMs - 0.6, maxPackMs: 0 })).toEqual([3])
  })

  it('is one with another shared value, another number of axes, or no elements', () => {
    const bench = new Bench(CHEAP)
    const requests = [
      bench.many(2, { rate: 2 }),
      bench.many(2, { width: 0 }),
      [[1, 2, 1], [1]].map((dims) => {
        const request = new RunRequest(systemClock, 'm', '1', {})
        request.promise.catch(() => undefined)
        request.inputs = [
          { type: 'float32', dims, data: new Float32Array(2) },
          { type: 'float32', dims: [], data: Float32Array.of(1) },
        ]
        request.bucket = bench.batching.bucketOf(request)
        return request
      }),
    ]
    for (const [first] of requests) {
      expect(bench.batching.trialOf([first as RunRequest, first as RunRequest], 2)).toBeDefined()
    }
    const [own] = bench.many(2) as [RunRequest]
    expect(bench.batching.trialOf([own, own], 2)).toBeUndefined()
  })
})
