import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ERROR_TABLE, errors } from '../../../src/errors/errors.js'
import { UnsendableTask } from '../../../src/hosts/replica-host.js'
import { systemClock } from '../../../src/platform/clock.js'
import type { TrackedRequest } from '../../../src/pools/queue/run-request.js'
import { RunRequest } from '../../../src/pools/queue/run-request.js'
import { encodeError } from '../../../src/protocol/error-codec.js'
import type { RunTask } from '../../../src/protocol/replica/replica-task.js'
import type { FakeTask } from '../../support/fake-host.js'
import { xsOf } from '../../support/fake-host.js'
import { Asked, PoolKit, turn } from '../../support/pool-harness.js'

const boom = (): never => {
  throw new Error('injected')
}

const uncaught: unknown[] = []
const note = (error: unknown): void => {
  uncaught.push(error)
}

beforeEach(() => {
  uncaught.length = 0
  process.on('uncaughtException', note)
  process.on('unhandledRejection', note)
})

afterEach(() => {
  vi.unstubAllGlobals()
  process.off('uncaughtException', note)
  process.off('unhandledRejection', note)
  expect(uncaught).toEqual([])
})

/** Sends requests 1 to 5 in one pack, after request 0 has run. */
class Trial {
  readonly requests: Asked[] = []

  readonly kit: PoolKit

  constructor(kit: PoolKit) {
    this.kit = kit
  }

  static async of(prepare: (kit: PoolKit) => void = () => undefined): Promise<Trial> {
    const trial = new Trial(await PoolKit.open({ maxPackMs: 10_000 }))
    trial.ask(0)
    prepare(trial.kit)
    return trial
  }

  ask(x: number, tracked?: Partial<TrackedRequest>, signal?: AbortSignal): Asked {
    const ignore = (): void => undefined
    const record = { startedAtMs: 0, queued: ignore, running: ignore, settled: ignore, ...tracked }
    const request = new RunRequest(systemClock, 'fake', '1', { signal }, undefined, record)
    request.inputs = [{ type: 'float32', dims: [1], data: Float32Array.of(x) }]
    const sent = new Asked(request)
    this.kit.submit(request)
    this.requests.push(sent)
    return sent
  }

  /** Lets requests 1 to 5 start, answers the remaining tasks, and returns the outcome of each request. */
  async outcomes(answer: (task: FakeTask) => void): Promise<(number | string | undefined)[]> {
    const [host] = this.kit.threads.hosts
    if (host === undefined) throw new Error('there is no thread')
    host.onTask = (task) => {
      if (task.message.kind !== 'run') return
      queueMicrotask(() => answer(task))
    }
    host.answer()
    const isOpen = (): boolean => this.requests.some(({ outcome }) => outcome === undefined)
    for (let turns = 0; turns < 100 && isOpen(); turns += 1) await new Promise((next) => setImmediate(next))
    return this.requests.map(({ y, code }) => y ?? code)
  }

  /** Checks that no request is open, that every error is documented, and that a later request succeeds. */
  async settleUp(): Promise<void> {
    for (const { outcome, settlements, code } of this.requests) {
      expect(outcome).toBeDefined()
      // A request that is refused at its creation has settled before it could be counted.
      expect(settlements).toBeLessThanOrEqual(1)
      if (code !== undefined) expect(Object.keys(ERROR_TABLE)).toContain(code)
    }
    await new Promise((resolve) => setImmediate(resolve))
    const { pool, threads } = this.kit
    expect(pool.leaseCount).toBe(0)
    expect(pool.stats()).toMatchObject({ replicas: 1, idle: 1, busy: 0, queued: 0, inFlight: 0 })
    const [host] = threads.alive
    if (host !== undefined) host.onTask = undefined
    const later = this.kit.ask(99)
    await this.kit.answer(99)
    expect(later.y).toBe(99)
  }
}

function answerAll(task: FakeTask): void {
  task.host.answer()
}

/** Replies with `result` for the request `x` and correct results for the others. */
function replyWith(x: number, result: unknown): (task: FakeTask) => void {
  return (task) => {
    const { buffer } = task.message as RunTask
    const results = xsOf(task.message as RunTask).map((own) =>
      own === x ? result : { answer: { dims: [[1]], data: [Float32Array.of(own).buffer] }, ms: 1 },
    )
    task.reply({ ok: true, buffer, results, hasBackgroundWork: false } as never)
  }
}

describe('a malformed result rejects its request, and the other requests of the pack succeed', () => {
  const four = new ArrayBuffer(4)
  const answerOf = (dims: unknown, data: unknown, ms: unknown = 1): unknown => ({
    answer: { dims: [dims], data: [data] },
    ms,
  })

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['an unrelated object', { hello: 1 }],
    ['no dims', answerOf(undefined, four)],
    ['no data', answerOf([1], undefined)],
    ['a negative dim', answerOf([-1], four)],
    ['two negative dims', answerOf([-1, -1], four)],
    ['a dim that is not a number', answerOf([Number.NaN], four)],
    ['a dim that is not an integer', answerOf([0.5], four)],
    ['a dim larger than any memory', answerOf([2 ** 53], four)],
    ['dims whose product is infinite', answerOf(new Array(40).fill(2 ** 50), four)],
    ['fewer elements than its dims', answerOf([2], four)],
    ['more elements than its dims', answerOf([1], new ArrayBuffer(8))],
    ['a length that fits only modulo 2 ** 32', answerOf([2 ** 30 + 1], four)],
    ['strings instead of numbers', answerOf([1], ['a'])],
    ['an offset beyond the buffer', answerOf([1], 2 ** 20)],
    ['an offset in the buffer and a length beyond it', answerOf([2 ** 20], 0)],
    ['a negative offset', answerOf([1], -8)],
    ['an unaligned offset', answerOf([1], 3)],
    ['an offset that is not a number', answerOf([1], Number.NaN)],
    ['a failure without an error', { ok: false, error: undefined }],
    ['outputs of a batch for a request that was not batched', { answers: [], ms: 1, fault: undefined }],
    ['outputs of a batch that are undefined', { answers: undefined, ms: 1, fault: undefined }],
  ])('%s', async (_, result) => {
    const trial = await Trial.of()
    for (const x of [1, 2, 3, 4, 5]) trial.ask(x)
    expect(await trial.outcomes(replyWith(3, result))).toEqual([0, 1, 2, 'ERR_INFERENCE', 4, 5])
    await trial.settleUp()
  })

  it('a run time that is not a number does not affect later packs', async () => {
    const trial = await Trial.of()
    for (const x of [1, 2, 3]) trial.ask(x)
    const strange = answerOf([1], Float32Array.of(3).buffer, Number.NaN)
    expect(await trial.outcomes(replyWith(3, strange))).toEqual([0, 1, 2, 3])
    await trial.settleUp()
  })
})

describe('a malformed reply rejects the requests of its pack, and the replica goes on', () => {
  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['text', 'hello'],
    ['an empty object', {}],
    ['no results', { ok: true, buffer: undefined, results: undefined, hasBackgroundWork: false }],
    ['results that are not an array', { ok: true, buffer: undefined, results: 5, hasBackgroundWork: false }],
    ['no result for any run', { ok: true, buffer: undefined, results: [], hasBackgroundWork: false }],
    ['a failure without an error', { ok: false }],
    ['a failure', { ok: false, error: encodeError(new errors.ERR_INFERENCE('x')) }],
    ['a buffer that is not a buffer', { ok: true, buffer: 7, results: [], hasBackgroundWork: 3 }],
  ])('%s', async (_, reply) => {
    const trial = await Trial.of()
    for (const x of [1, 2]) trial.ask(x)
    const outcomes = await trial.outcomes((task) => task.reply(reply as never))
    expect(outcomes).toEqual([0, 'ERR_INFERENCE', 'ERR_INFERENCE'])
    await trial.settleUp()
  })

  it('results beyond the number of runs are ignored', async () => {
    const trial = await Trial.of()
    trial.ask(1)
    const outcomes = await trial.outcomes((task) => {
      const { buffer } = task.message as RunTask
      const result = { answer: { dims: [[1]], data: [Float32Array.of(1).buffer] }, ms: 1 }
      task.reply({ ok: true, buffer, results: [result, result, result], hasBackgroundWork: false })
    })
    expect(outcomes).toEqual([0, 1])
    await trial.settleUp()
  })
})

describe('a pack that cannot be sent', () => {
  const refusal = (): Error =>
    new UnsendableTask(new DOMException('it could not be cloned', 'DataCloneError'))

  it.each<[string, () => Promise<never>]>([
    ['rejects', () => Promise.reject(refusal())],
    [
      'throws',
      () => {
        throw refusal()
      },
    ],
  ])(
    'because the host %s is sent request by request, and only the bad request is rejected',
    async (_, fail) => {
      const trial = await Trial.of((kit) => {
        const [host] = kit.threads.hosts
        if (host === undefined) throw new Error('there is no thread')
        const run = host.run.bind(host)
        host.run = (task) => (xsOf(task).includes(3) ? fail() : run(task))
      })
      for (const x of [1, 2, 3, 4, 5]) trial.ask(x)
      expect(await trial.outcomes(answerAll)).toEqual([0, 1, 2, 'ERR_INVALID_INPUT', 4, 5])
      await trial.settleUp()
    },
  )

  it('for lack of memory is sent request by request', async () => {
    const trial = await Trial.of()
    for (const x of [1, 2, 3]) trial.ask(x)
    let refused = 0
    const scarce = new Proxy(ArrayBuffer, {
      construct(target, [bytes]) {
        // This is the buffer of the first pack.
        if (bytes === 1_024 && refused === 0) {
          refused += 1
          throw new RangeError('Array buffer allocation failed')
        }
        return new target(bytes)
      },
    })
    vi.stubGlobal('ArrayBuffer', scarce)
    expect(await trial.outcomes(answerAll)).toEqual([0, 1, 2, 3])
    expect(refused).toBe(1)
    vi.unstubAllGlobals()
    await trial.settleUp()
  })

  it('for lack of memory even for single requests is rejected', async () => {
    const trial = await Trial.of()
    for (const x of [1, 2]) trial.ask(x)
    const none = new Proxy(ArrayBuffer, {
      construct: () => {
        throw new RangeError('Array buffer allocation failed')
      },
    })
    // The buffer that returns with the first outputs could be used again.
    const [host] = trial.kit.threads.hosts
    const task = host?.task
    vi.stubGlobal('ArrayBuffer', none)
    task?.fail(new errors.ERR_INFERENCE('x'))
    await turn()
    vi.unstubAllGlobals()
    expect(trial.requests.map(({ code }) => code)).toEqual([
      'ERR_INFERENCE',
      'ERR_INSUFFICIENT_MEMORY',
      'ERR_INSUFFICIENT_MEMORY',
    ])
    await trial.settleUp()
  })
})

describe('an exception while one request is handled', () => {
  it.each<[string, Partial<TrackedRequest>, string | number]>([
    ['when the request starts', { running: boom }, 'ERR_INVALID_INPUT'],
    ['when the request settles', { settled: boom }, 3],
  ])('%s does not affect other requests', async (_, tracked, expected) => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const trial = await Trial.of()
    for (const x of [1, 2]) trial.ask(x)
    trial.ask(3, tracked)
    for (const x of [4, 5]) trial.ask(x)
    expect(await trial.outcomes(answerAll)).toEqual([0, 1, 2, expected, 4, 5])
    await trial.settleUp()
    warned.mockRestore()
  })

  it('a listener that aborts other requests of the pack keeps them from being sent', async () => {
    const controllers = [1, 2, 3].map(() => new AbortController())
    const trial = await Trial.of()
    const sent: number[][] = []
    trial.ask(1, {}, controllers[0]?.signal)
    trial.ask(2, { running: () => [0, 2].forEach((index) => void controllers[index]?.abort()) })
    trial.ask(3, {}, controllers[2]?.signal)
    const outcomes = await trial.outcomes((task) => {
      sent.push(xsOf(task.message as RunTask))
      answerAll(task)
    })
    expect(outcomes).toEqual([0, 'ERR_ABORTED', 2, 'ERR_ABORTED'])
    expect(sent).toEqual([[2]])
    await trial.settleUp()
  })

  it('a listener that stops the pool leaves no request waiting', async () => {
    const trial = await Trial.of()
    trial.ask(1)
    trial.ask(2, { running: () => void trial.kit.pool.stop(1_000) })
    trial.ask(3)
    const outcomes = await trial.outcomes(answerAll)
    expect(outcomes[0]).toBe(0)
    for (const outcome of outcomes.slice(1)) expect([1, 2, 3, ...Object.keys(ERROR_TABLE)]).toContain(outcome)
    expect(trial.kit.pool.leaseCount).toBe(0)
  })

  it('an input whose buffer is transferred while it waits rejects its own request only', async () => {
    const trial = await Trial.of()
    for (const x of [1, 2, 3]) trial.ask(x)
    const data = trial.requests[2]?.request.inputs?.[0]?.data as Float32Array<ArrayBuffer>
    structuredClone(data.buffer, { transfer: [data.buffer] })
    expect(await trial.outcomes(answerAll)).toEqual([0, 1, 'ERR_INVALID_INPUT', 3])
    await trial.settleUp()
  })
})

describe('a forged or broken signal affects only its own request when it', () => {
  const forged = (own: PropertyDescriptorMap): AbortSignal =>
    Object.create(AbortSignal.prototype, own) as AbortSignal

  it.each<[string, () => AbortSignal, string]>([
    ['throws when its state is read', () => forged({}), 'ERR_INVALID_OPTIONS'],
    [
      'cannot take listeners',
      () => forged({ aborted: { value: false }, constructor: { value: null } }),
      'ERR_INVALID_OPTIONS',
    ],
    [
      'has aborted with a reason that throws',
      () => forged({ aborted: { value: true }, reason: { get: boom } }),
      'ERR_ABORTED',
    ],
  ])('%s', async (_, signal, code) => {
    const trial = await Trial.of()
    trial.ask(1)
    trial.ask(2, {}, signal())
    expect(await trial.outcomes(answerAll)).toEqual([0, 1, code])
    await trial.settleUp()
  })

  it('aborts later with an unreadable reason', async () => {
    const controller = new AbortController()
    const trial = await Trial.of()
    trial.ask(1)
    trial.ask(2, {}, controller.signal)
    controller.abort(new Proxy(new Error('x'), { getPrototypeOf: boom, get: boom }))
    expect(await trial.outcomes(answerAll)).toEqual([0, 1, 'ERR_ABORTED'])
    await trial.settleUp()
  })
})

describe('a listener of the pool that throws', () => {
  it('does not keep a dead replica from being replaced', async () => {
    vi.useFakeTimers()
    const kit = await PoolKit.open({ maxPackMs: 10_000 })
    kit.onEvent = boom
    const dying = kit.ask(1)
    const waiting = kit.ask(2)
    await kit.crash(1)
    expect(dying.code).toBe('ERR_REPLICA_EXITED')
    await vi.advanceTimersByTimeAsync(100)
    await kit.load()
    await kit.answer(2)
    expect(waiting.y).toBe(2)
    expect(kit.unexpected).toEqual([new Error('injected')])
    vi.useRealTimers()
  })

  it('does not keep a stuck replica from being quarantined and replaced', async () => {
    vi.useFakeTimers()
    const kit = await PoolKit.open({ stuckAfterMs: 400, maxPackMs: 10_000 })
    kit.onEvent = boom
    const stuck = kit.ask(1)
    await vi.advanceTimersByTimeAsync(500)
    expect(stuck.code).toBe('ERR_REPLICA_STUCK')
    await vi.advanceTimersByTimeAsync(100)
    await kit.load()
    const later = kit.ask(2)
    await kit.answer(2)
    expect(later.y).toBe(2)
    expect(kit.pool.leaseCount).toBe(0)
    vi.useRealTimers()
  })
})
