import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { errors } from '../../../src/errors/errors.js'
import { FAILED_START_MS } from '../../../src/pools/replicas/quarantine.js'
import type { PoolSource, WarmUp } from '../../../src/pools/settings/pool-settings.js'
import { fakeSignature, yOf } from '../../support/fake-host.js'
import { follow, PoolKit, source, turn } from '../../support/pool-harness.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('a pool that starts', () => {
  it('opens with its first replica', async () => {
    const kit = new PoolKit({ replicas: 3 })
    const starting = follow(kit.pool.start())
    expect(kit.threads.loading).toHaveLength(1)
    expect(kit.pool.isOpen).toBe(false)
    await kit.load()
    expect(starting.value).toEqual(fakeSignature)
    expect(kit.pool.isOpen).toBe(true)
    expect(kit.pool.stats()).toEqual({
      wanted: 3,
      replicas: 2,
      idle: 1,
      busy: 0,
      starting: 1,
      quarantined: 0,
      queued: 0,
      inFlight: 0,
      restarts: 0,
      isGrowing: true,
      fault: undefined,
      batching: expect.objectContaining({ state: 'off' }),
    })
  })

  it('sends every replica the same load task', async () => {
    const kit = await PoolKit.open({ replicas: 2 })
    for (const host of kit.threads.hosts) expect(host.tasks).toEqual([source.task])
  })

  it('fails with the error of the first replica, and starts no other', async () => {
    const kit = new PoolKit({ replicas: 3 })
    const starting = follow(kit.pool.start())
    kit.threads.loading[0]?.failLoad(new errors.ERR_UNSUPPORTED_MODEL('a sequence'))
    await turn()
    expect(starting.error).toMatchObject({ code: 'ERR_UNSUPPORTED_MODEL', message: 'a sequence' })
    expect(kit.threads.hosts).toHaveLength(1)
    await vi.runAllTimersAsync()
    expect(kit.threads.alive).toEqual([])
  })

  it('fails when a replica dies during its load', async () => {
    const kit = new PoolKit()
    const starting = follow(kit.pool.start())
    kit.threads.loading[0]?.exit()
    await turn()
    expect(starting.error).toMatchObject({ code: 'ERR_REPLICA_EXITED' })
    await vi.runAllTimersAsync()
    expect(kit.threads.hosts).toHaveLength(1)
    expect(kit.failed).toEqual([])
  })

  it('fails when a replica dies before the reply of its load is read', async () => {
    const kit = new PoolKit()
    const starting = follow(kit.pool.start())
    const [host] = kit.threads.loading
    host?.finishLoad()
    host?.exit()
    await turn()
    expect(starting.error).toMatchObject({ code: 'ERR_REPLICA_EXITED' })
    expect(kit.threads.alive).toEqual([])
  })

  it('fails when a load exceeds its timeout, and ends the replica when the load returns', async () => {
    const kit = new PoolKit({ loadTimeoutMs: 500 })
    const starting = follow(kit.pool.start())
    await vi.advanceTimersByTimeAsync(499)
    expect(starting.isSettled).toBe(false)
    await vi.advanceTimersByTimeAsync(1 + FAILED_START_MS)
    expect(starting.error).toMatchObject({ code: 'ERR_MODEL_LOAD', model: 'fake', version: '1' })
    expect(starting.error?.message).toContain('500 ms')
    expect(kit.threads.alive).toHaveLength(1)
    kit.threads.loading[0]?.finishLoad()
    await turn()
    expect(kit.threads.alive).toEqual([])
  })

  it('waits without limit for a load when the timeout is 0', async () => {
    const kit = new PoolKit({ loadTimeoutMs: 0 })
    const starting = follow(kit.pool.start())
    await vi.advanceTimersByTimeAsync(3_600_000)
    await kit.load()
    expect(starting.value).toEqual(fakeSignature)
  })
})

describe('a warm-up', () => {
  const warmUp: WarmUp = {
    inputs: () => [{ type: 'float32', dims: [1], data: Float32Array.of(5) }],
    check: (outputs) => {
      const got = yOf(outputs)
      if (got !== 5) throw new errors.ERR_WARMUP(`expected 5, got ${got}`)
    },
  }
  const warm: PoolSource = { ...source, warmUp }

  it('runs on every replica before it serves', async () => {
    const kit = new PoolKit({ replicas: 2 }, warm)
    const starting = follow(kit.pool.start())
    for (let serving = 0; serving < 2; serving += 1) {
      await kit.load()
      expect(kit.pool.stats()).toMatchObject({ idle: serving, starting: 1 })
      await kit.answer(5)
      expect(starting.value).toEqual(fakeSignature)
    }
    for (const host of kit.threads.hosts) {
      expect(host.tasks.map((task) => task.kind)).toEqual(['load', 'run'])
    }
  })

  it('with unexpected outputs fails the start', async () => {
    const kit = new PoolKit({ replicas: 2 }, warm)
    const starting = follow(kit.pool.start())
    await kit.load()
    await kit.answer(5, 6)
    expect(starting.error).toMatchObject({ code: 'ERR_WARMUP', message: 'expected 5, got 6' })
    await vi.runAllTimersAsync()
    expect(kit.threads.alive).toEqual([])
    expect(kit.threads.hosts).toHaveLength(1)
  })

  it('whose run fails fails the start with the cause', async () => {
    const kit = new PoolKit({}, warm)
    const starting = follow(kit.pool.start())
    await kit.load()
    kit.threads.running(5).failRun(new errors.ERR_INFERENCE('bad shape'))
    await turn()
    expect(starting.error).toMatchObject({
      code: 'ERR_WARMUP',
      model: 'fake',
      version: '1',
      cause: expect.objectContaining({ code: 'ERR_INFERENCE', message: 'bad shape' }),
    })
  })

  it('in which the replica dies fails the start', async () => {
    const kit = new PoolKit({}, warm)
    const starting = follow(kit.pool.start())
    await kit.load()
    await kit.crash(5)
    expect(starting.error).toMatchObject({ code: 'ERR_REPLICA_EXITED' })
    expect(kit.lost).toEqual([])
  })

  it('that does not return in time fails the start', async () => {
    const kit = new PoolKit({ loadTimeoutMs: 500 }, warm)
    const starting = follow(kit.pool.start())
    await kit.load()
    await vi.advanceTimersByTimeAsync(500 + FAILED_START_MS)
    expect(starting.error?.code).toMatch(/ERR_MODEL_LOAD|ERR_WARMUP/)
    await kit.answer(5)
    expect(kit.threads.alive).toEqual([])
  })

  it('does not begin when the pool was stopped during the load', async () => {
    const kit = new PoolKit({}, warm)
    const starting = follow(kit.pool.start())
    const stopping = follow(kit.pool.stop(5000))
    const [host] = kit.threads.hosts
    host?.finishLoad()
    // The release does not complete at once, and a replica receives no second task meanwhile.
    if (host !== undefined) host.onTask = () => undefined
    await turn()
    expect(host?.tasks.map((task) => task.kind)).toEqual(['load', 'release'])
    host?.task?.reply({ ok: true })
    await vi.advanceTimersByTimeAsync(5000)
    expect(starting.error).toMatchObject({ code: 'ERR_MODEL_UNAVAILABLE' })
    expect(stopping.value).toEqual([])
    expect(kit.threads.alive).toEqual([])
  })

  it('that is running when the pool is stopped finishes before the release', async () => {
    const kit = new PoolKit({}, warm)
    const starting = follow(kit.pool.start())
    await kit.load()
    const stopping = follow(kit.pool.stop(5000))
    await turn()
    expect(stopping.isSettled).toBe(false)
    await kit.answer(5)
    await vi.advanceTimersByTimeAsync(5000)
    expect(kit.threads.hosts[0]?.tasks.map((task) => task.kind)).toEqual(['load', 'run', 'release'])
    expect(starting.error).toMatchObject({ code: 'ERR_MODEL_UNAVAILABLE' })
    expect(stopping.value).toEqual([])
  })
})

describe('a drain', () => {
  it('ends at once when no request is admitted', async () => {
    const kit = await PoolKit.open()
    await kit.pool.drain()
    expect(kit.pool.isOpen).toBe(false)
  })

  it('ends when the last admitted request has completed, queued ones included', async () => {
    const kit = await PoolKit.open()
    const all = [1, 2, 3].map((x) => kit.ask(x))
    const draining = follow(kit.pool.drain())
    for (const x of [1, 2, 3]) {
      await turn()
      expect(draining.isSettled).toBe(false)
      await kit.answer(x)
    }
    expect(draining.isSettled).toBe(true)
    expect(all.map((one) => one.y)).toEqual([1, 2, 3])
  })

  it('ends when the last request is aborted, or its replica dies', async () => {
    const kit = await PoolKit.open({ replicas: 2 })
    kit.ask(1, { timeoutMs: 50 })
    kit.ask(2)
    const draining = follow(kit.pool.drain())
    await kit.crash(2)
    expect(draining.isSettled).toBe(false)
    await vi.advanceTimersByTimeAsync(50)
    expect(draining.isSettled).toBe(true)
  })

  it('goes on when the only replica dies, and its replacement runs the waiting requests', async () => {
    const kit = await PoolKit.open()
    kit.ask(1)
    const waiting = kit.ask(2)
    const draining = follow(kit.pool.drain())
    await kit.crash(1)
    await vi.advanceTimersByTimeAsync(100)
    await kit.load()
    await kit.answer(2)
    expect(waiting.y).toBe(2)
    expect(draining.isSettled).toBe(true)
  })

  it('may be requested twice', async () => {
    const kit = await PoolKit.open()
    kit.ask(1)
    const both = [follow(kit.pool.drain()), follow(kit.pool.drain())]
    await kit.answer(1)
    expect(both.map((one) => one.isSettled)).toEqual([true, true])
  })
})

describe('a stop', () => {
  it('releases every session before its thread is ended', async () => {
    const kit = await PoolKit.open({ replicas: 2 })
    expect(await kit.pool.stop(1000)).toEqual([])
    for (const host of kit.threads.hosts) {
      expect(host.tasks.map((task) => task.kind)).toEqual(['load', 'release'])
      expect(host.isGone).toBe(true)
    }
    expect(kit.pool.stats()).toMatchObject({ replicas: 0, idle: 0, busy: 0 })
    expect(vi.getTimerCount()).toBe(0)
  })

  it('releases once however often it is requested', async () => {
    const kit = await PoolKit.open()
    const stops = [kit.pool.stop(1000), kit.pool.stop(1000)]
    expect(await Promise.all(stops)).toEqual([[], []])
    expect(await kit.pool.stop(5)).toEqual([])
    expect(kit.threads.hosts[0]?.tasks.map((task) => task.kind)).toEqual(['load', 'release'])
  })

  it('that is requested again with a shorter timeout ends earlier for both callers', async () => {
    const kit = await PoolKit.open()
    kit.ask(1)
    const patient = follow(kit.pool.stop(60_000))
    const hasty = follow(kit.pool.stop(10))
    await vi.advanceTimersByTimeAsync(10)
    expect(hasty.value).toHaveLength(1)
    expect(patient.value).toHaveLength(1)
    expect(vi.getTimerCount()).toBe(0)
    await kit.answer(1)
    expect(kit.pool.stuck()).toEqual([])
    expect(kit.threads.alive).toEqual([])
  })

  it('rejects admitted requests and waits for the run before it ends the thread', async () => {
    const kit = await PoolKit.open()
    const [running, waiting] = [kit.ask(1), kit.ask(2)]
    const stopping = follow(kit.pool.stop(1000))
    await turn()
    expect([running.code, waiting.code]).toEqual(['ERR_MODEL_UNAVAILABLE', 'ERR_MODEL_UNAVAILABLE'])
    expect(stopping.isSettled).toBe(false)
    expect(kit.threads.hosts[0]?.isTerminated).toBe(false)
    await kit.answer(1)
    expect(stopping.value).toEqual([])
    expect(kit.threads.hosts[0]?.tasks.map((task) => task.kind)).toEqual(['load', 'run', 'release'])
  })

  it('returns the replica whose run did not end in time, and detaches it', async () => {
    const kit = await PoolKit.open({ replicas: 2 })
    kit.ask(1)
    const host = kit.threads.running(1)
    const { id: threadId } = host
    const stopping = follow(kit.pool.stop(1000))
    await vi.advanceTimersByTimeAsync(999)
    expect(stopping.isSettled).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    expect(stopping.value).toEqual([{ model: 'fake', version: '1', threadId, runningMs: expect.any(Number) }])
    expect(host).toMatchObject({ isDetached: true, isTerminated: true, isGone: false })
    host.answer()
    await turn()
    expect(host.isGone).toBe(true)
  })

  it('waits for a slow release', async () => {
    const kit = await PoolKit.open()
    const [host] = kit.threads.hosts
    if (host !== undefined) host.onTask = () => undefined
    const stopping = follow(kit.pool.stop(1000))
    await turn()
    expect(host?.task?.message.kind).toBe('release')
    expect(stopping.isSettled).toBe(false)
    host?.task?.reply({ ok: true })
    await turn()
    expect(stopping.value).toEqual([])
  })

  it('ends a replica whose release fails', async () => {
    const kit = await PoolKit.open()
    const [host] = kit.threads.hosts
    if (host !== undefined) host.onTask = (task) => task.fail(new Error('no'))
    expect(await kit.pool.stop(1000)).toEqual([])
    expect(host?.isGone).toBe(true)
  })

  it('cancels a replacement that has not begun', async () => {
    const kit = await PoolKit.open()
    kit.ask(1)
    await kit.crash(1)
    await kit.pool.stop(1000)
    await vi.advanceTimersByTimeAsync(10_000)
    expect(kit.threads.hosts).toHaveLength(1)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('ends a replacement that is loading', async () => {
    const kit = await PoolKit.open()
    kit.ask(1)
    await kit.crash(1)
    await vi.advanceTimersByTimeAsync(100)
    const stopping = follow(kit.pool.stop(1000))
    kit.threads.loading[0]?.finishLoad()
    await vi.advanceTimersByTimeAsync(1000)
    expect(stopping.value).toEqual([])
    expect(kit.threads.alive).toEqual([])
    expect(kit.pool.stats()).toMatchObject({ replicas: 0, idle: 0 })
  })

  it('during the start rejects the start, and ends every replica as its load returns', async () => {
    const kit = new PoolKit({ replicas: 3 })
    const starting = follow(kit.pool.start())
    const stopping = follow(kit.pool.stop(1000))
    await turn()
    expect(kit.threads.alive).toHaveLength(1)
    for (const host of kit.threads.loading) host.finishLoad()
    await vi.advanceTimersByTimeAsync(1000)
    expect(starting.error).toMatchObject({ code: 'ERR_MODEL_UNAVAILABLE', model: 'fake' })
    expect(stopping.value).toEqual([])
    expect(kit.threads.alive).toEqual([])
  })

  it('before the start leaves nothing to start', async () => {
    const kit = new PoolKit({ replicas: 2 })
    await kit.pool.stop(1000)
    const starting = follow(kit.pool.start())
    for (const host of kit.threads.loading) host.finishLoad()
    await vi.advanceTimersByTimeAsync(1000)
    expect(starting.error).toMatchObject({ code: 'ERR_MODEL_UNAVAILABLE' })
    expect(kit.threads.alive).toEqual([])
  })

  it('after a failed start leaves no replica behind', async () => {
    const kit = new PoolKit()
    const starting = follow(kit.pool.start())
    const [host] = kit.threads.hosts
    // The release after the failed load does not complete at once.
    if (host !== undefined) host.onTask = () => undefined
    host?.failLoad()
    await turn()
    expect(starting.isSettled).toBe(false)
    host?.task?.reply({ ok: true })
    await turn()
    expect(starting.error).toMatchObject({ code: 'ERR_MODEL_LOAD' })
    expect(kit.threads.alive).toEqual([])
    expect(await kit.pool.stop(1000)).toEqual([])
  })

  it('does not count a replica that dies during the stop as a crash', async () => {
    const kit = await PoolKit.open()
    kit.ask(1)
    const stopping = follow(kit.pool.stop(1000))
    await kit.crash(1)
    expect(stopping.value).toEqual([])
    expect(kit.lost).toEqual([])
    await vi.advanceTimersByTimeAsync(10_000)
    expect(kit.threads.hosts).toHaveLength(1)
  })
})

describe('rejectAll', () => {
  it('rejects every admitted request with the given error and returns their number', async () => {
    const kit = await PoolKit.open()
    const all = [1, 2, 3].map((x) => kit.ask(x))
    const draining = follow(kit.pool.drain())
    expect(kit.pool.rejectAll(new errors.ERR_DRAIN_TIMEOUT('late'))).toBe(3)
    expect(kit.pool.rejectAll(new errors.ERR_DRAIN_TIMEOUT('late'))).toBe(0)
    await turn()
    expect(all.map((one) => one.code)).toEqual(Array(3).fill('ERR_DRAIN_TIMEOUT'))
    expect(draining.isSettled).toBe(true)
    expect(kit.threads.runs).toEqual([1])
  })
})
