import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { batchingOptionsSchema } from '../../../src/config/batching-options.js'
import { errors } from '../../../src/errors/errors.js'
import { UnsendableTask } from '../../../src/hosts/replica-host.js'
import type { Signature, TensorSpec } from '../../../src/tensors/tensor.js'
import type { FakeHost } from '../../support/fake-host.js'
import { follow, PoolKit, source, turn } from '../../support/pool-harness.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const broken = (): Error => new Error('write EPIPE')

function hostOf(kit: PoolKit, index = 0): FakeHost {
  return kit.threads.hosts[index] as FakeHost
}

describe('a host that fails', () => {
  it.each<[string, Error]>([
    ['with the error of a broken pipe', broken()],
    ['with a DataCloneError', new DOMException('no', 'DataCloneError')],
    ['with an error that blames the caller', new errors.ERR_INVALID_INPUT('the input is wrong')],
  ])('%s rejects its running request as a crash does, and is replaced', async (_, why) => {
    const kit = await PoolKit.open()
    const [lost, next] = [kit.ask(1), kit.ask(2)]
    hostOf(kit).cut(why)
    await turn()
    expect(lost.outcome?.error).toMatchObject({
      code: 'ERR_REPLICA_EXITED',
      message: expect.stringContaining(why.message),
      retryable: true,
      model: 'fake',
      version: '1',
      cause: why,
    })
    expect(kit.lost).toEqual([{ cause: lost.outcome?.error, restartInMs: 100 }])
    await vi.advanceTimersByTimeAsync(100)
    await kit.load()
    await kit.answer(2)
    expect(next.y).toBe(2)
    expect(kit.pool.stats()).toMatchObject({ replicas: 1, idle: 1, restarts: 1, inFlight: 0 })
    expect(kit.unexpected).toEqual([])
  })

  it('returns the requests of its pack that it has not started to the queue', async () => {
    const kit = await PoolKit.open({ maxPackMs: 10_000 })
    kit.ask(0)
    const requests = [1, 2, 3].map((x) => kit.ask(x))
    await kit.answer(0)
    hostOf(kit).progress = 1
    hostOf(kit).cut()
    await vi.advanceTimersByTimeAsync(100)
    await kit.load()
    hostOf(kit, 1).answer()
    await turn()
    expect(requests.map(({ y, code }) => y ?? code)).toEqual([1, 'ERR_REPLICA_EXITED', 3])
  })

  it.each<[string, (host: FakeHost) => void]>([
    ['rejects', (host) => host.cut()],
    [
      'throws',
      (host) => {
        host.run = () => {
          throw broken()
        }
      },
    ],
  ])('and %s before a pack has reached it rejects no request', async (_, fail) => {
    const kit = await PoolKit.open({ maxPackMs: 10_000 })
    fail(hostOf(kit))
    const requests = [1, 2].map((x) => kit.ask(x))
    await turn()
    expect(kit.lost).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(100)
    await kit.load()
    hostOf(kit, 1).answer()
    await turn()
    expect(requests[0]?.y).toBe(1)
    if (hostOf(kit, 1).running !== undefined) await kit.answer(2)
    expect(requests[1]?.y).toBe(2)
  })

  it('repeatedly spends the crash budget, and no request is rejected as invalid input', async () => {
    const kit = await PoolKit.open({ crashBudget: 1 })
    hostOf(kit).cut()
    const request = kit.ask(1)
    await vi.advanceTimersByTimeAsync(100)
    hostOf(kit, 1).cut()
    await turn()
    await kit.load()
    expect(kit.failed).toMatchObject([{ code: 'ERR_CIRCUIT_OPEN' }])
    expect(request.code).toBe('ERR_CIRCUIT_OPEN')
    expect(kit.pool.leaseCount).toBe(0)
  })

  it('counts as quarantined until it has exited, and does not keep the process alive', async () => {
    const kit = await PoolKit.open()
    kit.ask(1)
    hostOf(kit).cut()
    await turn()
    expect(kit.pool.stats().quarantined).toBe(1)
    expect(hostOf(kit)).toMatchObject({ isDetached: true, isTerminated: true, isGone: false })
    hostOf(kit).exit()
    await turn()
    expect(kit.pool.stats().quarantined).toBe(0)
    expect(kit.lost).toHaveLength(1)
  })

  it('and then exits is replaced once', async () => {
    const kit = await PoolKit.open({ replicas: 2 })
    const lost = kit.ask(1)
    const host = kit.threads.running(1)
    host.cut()
    host.exit()
    await vi.advanceTimersByTimeAsync(100)
    await kit.load()
    expect(lost.code).toBe('ERR_REPLICA_EXITED')
    expect(kit.lost).toHaveLength(1)
    expect(kit.pool.stats()).toMatchObject({ replicas: 2, idle: 2, quarantined: 0, restarts: 1 })
  })

  it('during its last run before a resize removes it is not replaced', async () => {
    const kit = await PoolKit.open({ replicas: 2 })
    const requests = [kit.ask(1), kit.ask(2)]
    const resizing = follow(kit.pool.resize(1))
    await turn()
    const host = kit.threads.hosts.find((each) => kit.pool.hosts.includes(each)) as FakeHost
    host.cut()
    await turn()
    await vi.advanceTimersByTimeAsync(100)
    const other = kit.threads.alive.find((each) => each !== host)
    other?.answer()
    await turn()
    expect(requests.map(({ y, code }) => y ?? code).sort()).toEqual([
      expect.any(Number),
      'ERR_REPLICA_EXITED',
    ])
    if (kit.threads.loading.length > 0) await kit.load()
    expect(resizing.isSettled).toBe(true)
    expect(kit.pool.stats()).toMatchObject({ wanted: 1, replicas: 1, idle: 1 })
  })

  it('during the stop of a pool does not delay the stop', async () => {
    const kit = await PoolKit.open()
    const lost = kit.ask(1)
    const stopping = follow(kit.pool.stop(10_000))
    await turn()
    hostOf(kit).cut()
    await turn()
    hostOf(kit).exit()
    await vi.advanceTimersByTimeAsync(1_000)
    expect(lost.code).toBe('ERR_MODEL_UNAVAILABLE')
    expect(stopping.value).toEqual([])
    expect(kit.lost).toEqual([])
  })
})

describe('a host that fails during background work', () => {
  const rows: TensorSpec = { name: 'x', type: 'float32', dims: ['batch'] }
  const batched: Signature = { inputs: [rows], outputs: [{ ...rows, name: 'y' }] }
  /** Returns a pool whose only replica does background work, which `prepare` may make fail. */
  async function proving(prepare: (host: FakeHost) => void = () => undefined): Promise<PoolKit> {
    const kit = new PoolKit({ batching: batchingOptionsSchema.parse({}) }, source)
    const starting = kit.pool.start()
    hostOf(kit).finishLoad(batched)
    await starting
    prepare(hostOf(kit))
    kit.ask(1)
    const { task } = hostOf(kit)
    const results = [{ answer: { dims: [[1]], data: [Float32Array.of(1).buffer] }, ms: 1 }]
    task?.reply({ ok: true, buffer: new ArrayBuffer(8), results, hasBackgroundWork: true })
    await turn()
    return kit
  }

  it('is replaced, and the proof starts again', async () => {
    const kit = await proving()
    expect(hostOf(kit).task?.message.kind).toBe('background')
    const waiting = kit.ask(2)
    hostOf(kit).cut()
    await turn()
    expect(kit.lost).toMatchObject([{ cause: { code: 'ERR_REPLICA_EXITED' }, restartInMs: 100 }])
    await vi.advanceTimersByTimeAsync(100)
    hostOf(kit, 1).finishLoad(batched)
    await turn()
    await kit.answer(2)
    expect(waiting.y).toBe(2)
    expect(kit.unexpected).toEqual([])
  })

  it('stays in service if only the task could not be sent, and the error is reported', async () => {
    const refusal = new UnsendableTask(new DOMException('no', 'DataCloneError'))
    const kit = await proving((host) => vi.spyOn(host, 'background').mockRejectedValueOnce(refusal))
    expect(kit.unexpected).toEqual([refusal])
    const next = kit.ask(2)
    await kit.answer(2)
    expect(next.y).toBe(2)
    expect(kit.lost).toEqual([])
  })
})
