import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { errors } from '../../../src/errors/errors.js'
import type { Tensor } from '../../../src/tensors/tensor.js'
import type { FakeHost } from '../../support/fake-host.js'
import { follow, PoolKit, source, turn } from '../../support/pool-harness.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

async function resize(kit: PoolKit, replicas: number): Promise<ReturnType<typeof follow<void>>> {
  const resizing = follow(kit.pool.resize(replicas))
  await turn()
  return resizing
}

/** The state of a resize that has resolved. */
const done = { isSettled: true, value: undefined }

/** Counts the load tasks of all hosts. */
const loads = (hosts: readonly FakeHost[]): number =>
  hosts.flatMap(({ tasks }) => tasks).filter(({ kind }) => kind === 'load').length

describe('a pool that grows', () => {
  it('starts replicas one after another, and resolves when all serve', async () => {
    const kit = await PoolKit.open()
    const resizing = await resize(kit, 3)
    expect(kit.threads.hosts).toHaveLength(2)
    expect(kit.pool.stats()).toMatchObject({ replicas: 2, idle: 1, starting: 1 })
    await kit.load()
    expect(kit.pool.stats()).toMatchObject({ replicas: 3, idle: 2, starting: 1 })
    expect(resizing.isSettled).toBe(false)
    await kit.load()
    expect(resizing).toEqual(done)
    expect(kit.pool.stats()).toMatchObject({ replicas: 3, idle: 3, restarts: 0 })
    expect(loads(kit.threads.hosts)).toBe(3)
  })

  it('sends waiting requests to each replica as soon as it is ready', async () => {
    const kit = await PoolKit.open()
    const requests = [kit.ask(1), kit.ask(2), kit.ask(3)]
    await resize(kit, 3)
    await kit.load()
    expect(kit.threads.runs).toEqual([1, 2])
    await kit.load()
    expect(kit.threads.runs).toEqual([1, 2, 3])
    for (const x of [1, 2, 3]) await kit.answer(x)
    expect(requests.map(({ y }) => y)).toEqual([1, 2, 3])
  })

  it('runs the warm-up sample on each new replica first', async () => {
    const inputs = (): Tensor[] => [{ type: 'float32', dims: [1], data: Float32Array.of(7) }]
    const check = vi.fn()
    const kit = new PoolKit({}, { ...source, warmUp: { inputs, check } })
    const starting = kit.pool.start()
    await kit.load()
    await kit.answer(7)
    await starting
    const resizing = await resize(kit, 2)
    await kit.load()
    expect(resizing.isSettled).toBe(false)
    await kit.answer(7)
    expect(resizing.isSettled).toBe(true)
    expect(check).toHaveBeenCalledTimes(2)
  })

  it('waits for a turn among concurrent loads again for each replica', async () => {
    const turns: (() => Promise<void>)[] = []
    const inTurn = (load: () => Promise<void>): Promise<void> =>
      new Promise((resolve, reject) => turns.push(() => load().then(resolve, reject)))
    const kit = await PoolKit.open({}, { ...source, inTurn })
    const resizing = await resize(kit, 3)
    expect(kit.threads.hosts).toHaveLength(1)
    void turns[0]?.()
    await kit.load()
    expect(kit.threads.hosts).toHaveLength(2)
    expect(turns).toHaveLength(2)
    // The pool has enough replicas meanwhile.
    const smaller = await resize(kit, 2)
    await turns[1]?.()
    await turn()
    expect([resizing, smaller]).toEqual([done, done])
    expect(kit.threads.hosts).toHaveLength(2)
  })

  it('rejects with the first failure, keeps the serving replicas, and wants no more than those', async () => {
    const kit = await PoolKit.open()
    const resizing = await resize(kit, 4)
    await kit.load()
    kit.threads.loading[0]?.failLoad(new errors.ERR_MODEL_LOAD('no memory'))
    await turn()
    expect(resizing.error).toMatchObject({ code: 'ERR_MODEL_LOAD', message: 'no memory' })
    await vi.advanceTimersByTimeAsync(60_000)
    expect(kit.pool.wanted).toBe(2)
    expect(kit.pool.stats()).toMatchObject({ replicas: 2, idle: 2 })
    expect(kit.threads.alive).toHaveLength(2)
    expect(kit.lost).toEqual([])
    const again = await resize(kit, 3)
    await kit.load()
    expect(again).toEqual(done)
  })

  it('rejects when the new replica dies in its load, which does not count against the crash budget', async () => {
    const kit = await PoolKit.open({ crashBudget: 0 })
    const resizing = await resize(kit, 2)
    kit.threads.loading[0]?.exit()
    await turn()
    expect(resizing.error?.code).toBe('ERR_REPLICA_EXITED')
    expect(kit.failed).toEqual([])
    expect(kit.pool.stats()).toMatchObject({ replicas: 1, idle: 1 })
  })
})

describe('a pool that shrinks', () => {
  it('removes idle replicas, the most recently used one last', async () => {
    const kit = await PoolKit.open({ replicas: 3 })
    kit.ask(1)
    const used = kit.threads.running(1)
    await kit.answer(1)
    const resizing = await resize(kit, 1)
    expect(resizing.isSettled).toBe(true)
    expect(kit.threads.alive).toEqual([used])
    expect(kit.pool.stats()).toMatchObject({ replicas: 1, idle: 1, quarantined: 0, restarts: 0 })
    expect(kit.lost).toEqual([])
  })

  it('releases the session before it ends the thread', async () => {
    const kit = await PoolKit.open({ replicas: 2 })
    const [first] = kit.threads.hosts as [FakeHost]
    first.onTask = () => undefined
    const resizing = await resize(kit, 1)
    expect(first.task?.message.kind).toBe('release')
    expect(kit.pool.stats()).toMatchObject({ replicas: 1, idle: 1 })
    expect([resizing.isSettled, first.isTerminated]).toEqual([false, false])
    first.task?.reply({ ok: true })
    await turn()
    expect([resizing.isSettled, first.isGone]).toEqual([true, true])
  })

  it('lets a busy replica finish its run, and sends it nothing more', async () => {
    const kit = await PoolKit.open({ replicas: 2 })
    const [first, second, third] = [kit.ask(1), kit.ask(2), kit.ask(3)]
    const leaving = kit.threads.running(2)
    const resizing = await resize(kit, 1)
    expect(kit.pool.stats()).toMatchObject({ replicas: 2, busy: 2, queued: 1, inFlight: 2 })
    expect([resizing.isSettled, leaving.isTerminated]).toEqual([false, false])
    await kit.answer(2)
    expect(second.y).toBe(2)
    expect([resizing.isSettled, leaving.isGone]).toEqual([true, true])
    expect(leaving.tasks.map(({ kind }) => kind)).toEqual(['load', 'run', 'release'])
    expect(kit.pool.stats()).toMatchObject({ replicas: 1, busy: 1, queued: 1 })
    await kit.answer(1)
    await kit.answer(3)
    expect([first.y, third.y]).toEqual([1, 3])
  })

  it('removes starting replicas first, then idle ones, then busy ones', async () => {
    const kit = await PoolKit.open({ replicas: 3 })
    kit.ask(1)
    const growing = await resize(kit, 4)
    const [loading] = kit.threads.loading
    const smaller = await resize(kit, 2)
    const alive = kit.threads.alive
    expect(alive).toHaveLength(3)
    expect(alive).toContain(kit.threads.running(1))
    expect(alive).toContain(loading)
    expect(smaller.isSettled).toBe(false)
    loading?.finishLoad()
    await turn()
    expect([growing, smaller]).toEqual([done, done])
    expect(loading?.isGone).toBe(true)
    expect(kit.pool.stats()).toMatchObject({ replicas: 2, busy: 1, idle: 1 })
  })

  it('ignores the failure of a load that is no longer wanted', async () => {
    const kit = await PoolKit.open()
    const growing = await resize(kit, 2)
    const smaller = await resize(kit, 1)
    kit.threads.loading[0]?.failLoad()
    await vi.advanceTimersByTimeAsync(0)
    expect([growing, smaller]).toEqual([done, done])
    expect(kit.pool.stats()).toMatchObject({ replicas: 1, idle: 1 })
  })

  it('quarantines a replica whose last run does not return, and does not replace it', async () => {
    const kit = await PoolKit.open({ replicas: 2, stuckAfterMs: 1_000 })
    const [, stuck] = [kit.ask(1), kit.ask(2)]
    const leaving = kit.threads.running(2)
    const resizing = await resize(kit, 1)
    await vi.advanceTimersByTimeAsync(900)
    await kit.answer(1)
    expect(resizing.isSettled).toBe(false)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(stuck?.code).toBe('ERR_REPLICA_STUCK')
    expect(kit.stuck).toHaveLength(1)
    expect(kit.lost).toMatchObject([{ restartInMs: undefined }])
    expect(resizing).toEqual(done)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(kit.pool.stats()).toMatchObject({ replicas: 1, idle: 1, quarantined: 1, restarts: 0 })
    leaving.answer()
    await turn()
    expect(kit.pool.stats().quarantined).toBe(0)
  })

  it('does not replace a replica that dies in its last run, and reports the crash', async () => {
    const kit = await PoolKit.open({ replicas: 2, crashBudget: 0 })
    const [other, hit] = [kit.ask(1), kit.ask(2)]
    const resizing = await resize(kit, 1)
    await kit.crash(2)
    expect(hit.code).toBe('ERR_REPLICA_EXITED')
    expect(kit.lost).toMatchObject([{ cause: { code: 'ERR_REPLICA_EXITED' }, restartInMs: undefined }])
    expect(resizing).toEqual(done)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(kit.failed).toEqual([])
    await kit.answer(1)
    expect(other.y).toBe(1)
    expect(kit.threads.hosts).toHaveLength(2)
  })

  it('reports a crash that is announced after the run was lost', async () => {
    const kit = await PoolKit.open({ replicas: 2 })
    kit.ask(1)
    kit.ask(2)
    const host = kit.threads.running(2)
    const resizing = await resize(kit, 1)
    host.task?.lose(new errors.ERR_REPLICA_EXITED('the thread is dying'))
    await turn()
    expect(resizing.isSettled).toBe(false)
    host.exit()
    await turn()
    expect(kit.lost).toMatchObject([{ restartInMs: undefined }])
    expect(resizing.isSettled).toBe(true)
  })
})

describe('concurrent resizes', () => {
  it('keep a busy replica that was about to be removed', async () => {
    const kit = await PoolKit.open({ replicas: 2 })
    const requests = [kit.ask(1), kit.ask(2), kit.ask(3)]
    const smaller = await resize(kit, 1)
    const larger = await resize(kit, 2)
    expect([smaller, larger]).toEqual([done, done])
    for (const x of [1, 3, 2]) await kit.answer(x)
    expect(requests.map(({ y }) => y)).toEqual([1, 2, 3])
    expect(kit.threads.hosts).toHaveLength(2)
    expect(kit.pool.stats()).toMatchObject({ replicas: 2, idle: 2 })
  })

  it.each([0, 1, 2, 3, 4, 5, 6, 7, 8])(
    'never remove a replica during a run, %i ticks apart',
    async (ticks) => {
      const kit = await PoolKit.open({ replicas: 2 })
      const requests = [kit.ask(1), kit.ask(2), kit.ask(3)]
      await resize(kit, 1)
      await resize(kit, 2)
      kit.threads.running(2).answer()
      for (let tick = 0; tick < ticks; tick += 1) await Promise.resolve()
      const smaller = follow(kit.pool.resize(1))
      await vi.advanceTimersByTimeAsync(30_000)
      expect(kit.pool.stats().quarantined).toBe(0)
      for (const x of kit.threads.runs) await kit.answer(x)
      for (const x of kit.threads.runs) await kit.answer(x)
      expect(requests.map(({ y }) => y)).toEqual([1, 2, 3])
      expect(smaller).toEqual(done)
      expect(kit.pool.stats()).toMatchObject({ replicas: 1, idle: 1 })
    },
  )

  it('end with the number of the last resize, and settle with it', async () => {
    const kit = await PoolKit.open()
    const resizes = [4, 1, 3, 2].map((replicas) => follow(kit.pool.resize(replicas)))
    await turn()
    await kit.load(2)
    expect(resizes).toEqual([done, done, done, done])
    expect(kit.pool.stats()).toMatchObject({ replicas: 2, idle: 2 })
    expect(kit.threads.alive).toHaveLength(2)
  })

  it('all reject when the growth fails', async () => {
    const kit = await PoolKit.open()
    const resizes = [follow(kit.pool.resize(2)), follow(kit.pool.resize(3))]
    await turn()
    kit.threads.loading[0]?.failLoad()
    await turn()
    expect(resizes.map(({ error }) => error?.code)).toEqual(['ERR_MODEL_LOAD', 'ERR_MODEL_LOAD'])
    expect(kit.pool.wanted).toBe(1)
  })

  it('to the current number do nothing', async () => {
    const kit = await PoolKit.open({ replicas: 2 })
    kit.ask(1)
    expect((await resize(kit, 2)).isSettled).toBe(true)
    expect(kit.threads.hosts).toHaveLength(2)
    expect(kit.pool.stats()).toMatchObject({ replicas: 2, idle: 1, busy: 1 })
  })
})

describe('a resize while a replica is about to be replaced', () => {
  it('downwards removes the vacant place first', async () => {
    const kit = await PoolKit.open({ replicas: 3 })
    kit.ask(1)
    await kit.crash(1)
    expect((await resize(kit, 2)).isSettled).toBe(true)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(kit.threads.hosts).toHaveLength(3)
    expect(kit.pool.stats()).toMatchObject({ replicas: 2, idle: 2, restarts: 0 })
  })

  it('upwards starts new replicas in addition to the replacement', async () => {
    const kit = await PoolKit.open({ replicas: 2 })
    kit.ask(1)
    await kit.crash(1)
    const resizing = await resize(kit, 3)
    await kit.load()
    expect(resizing.isSettled).toBe(true)
    expect(kit.threads.alive).toHaveLength(2)
    await vi.advanceTimersByTimeAsync(100)
    await kit.load()
    expect(kit.pool.stats()).toMatchObject({ replicas: 3, idle: 3, restarts: 1 })
  })

  it('lets the replacement finish its load, then removes it', async () => {
    const kit = await PoolKit.open({ replicas: 2 })
    kit.ask(1)
    await kit.crash(1)
    await vi.advanceTimersByTimeAsync(100)
    const resizing = await resize(kit, 1)
    expect(resizing.isSettled).toBe(false)
    await kit.load()
    expect(resizing.isSettled).toBe(true)
    expect(kit.pool.stats()).toMatchObject({ replicas: 1, idle: 1 })
    expect(kit.threads.alive).toHaveLength(1)
  })

  it('replaces the last replica when the load that took its place fails', async () => {
    const kit = await PoolKit.open()
    kit.threads.hosts[0]?.exit()
    await turn()
    const growing = await resize(kit, 2)
    const shrinking = await resize(kit, 1)
    kit.threads.loading[0]?.failLoad()
    await turn()
    for (const resizing of [growing, shrinking]) expect(resizing.error?.code).toBe('ERR_MODEL_LOAD')
    const waiting = kit.ask(1)
    await vi.advanceTimersByTimeAsync(1_000)
    await kit.load()
    await kit.answer(1)
    expect(waiting.y).toBe(1)
    expect(kit.pool.stats()).toMatchObject({ wanted: 1, replicas: 1, idle: 1 })
  })

  it('replaces a replica that dies while the pool grows', async () => {
    const kit = await PoolKit.open({ replicas: 2 })
    const resizing = await resize(kit, 3)
    kit.threads.hosts[0]?.exit()
    await turn()
    await kit.load()
    expect(resizing.isSettled).toBe(true)
    await vi.advanceTimersByTimeAsync(100)
    await kit.load()
    expect(kit.pool.stats()).toMatchObject({ replicas: 3, idle: 3 })
  })
})

describe('a resize is refused by a pool', () => {
  it('whose crash budget is spent', async () => {
    const kit = await PoolKit.open({ replicas: 2, crashBudget: 0 })
    kit.ask(1)
    await kit.crash(1)
    expect(kit.failed).toHaveLength(1)
    expect((await resize(kit, 3)).error?.code).toBe('ERR_MODEL_UNAVAILABLE')
    expect((await resize(kit, 1)).error?.code).toBe('ERR_MODEL_UNAVAILABLE')
    expect(kit.threads.hosts).toHaveLength(2)
  })

  it('whose crash budget is spent while it grows', async () => {
    const kit = await PoolKit.open({ replicas: 2, crashBudget: 0 })
    const resizing = await resize(kit, 4)
    kit.threads.hosts[0]?.exit()
    await turn()
    kit.threads.loading[0]?.finishLoad()
    await turn()
    expect(resizing.error?.code).toBe('ERR_MODEL_UNAVAILABLE')
    await vi.advanceTimersByTimeAsync(60_000)
    expect(kit.threads.alive).toHaveLength(1)
  })

  it('that has not started, is draining, or is stopped', async () => {
    const kit = new PoolKit()
    expect((await resize(kit, 2)).error?.code).toBe('ERR_MODEL_UNAVAILABLE')
    const open = await PoolKit.open()
    open.ask(1)
    void open.pool.drain()
    expect((await resize(open, 2)).error?.code).toBe('ERR_MODEL_UNAVAILABLE')
    await open.answer(1)
    await open.pool.stop(0)
    expect((await resize(open, 2)).error?.code).toBe('ERR_MODEL_UNAVAILABLE')
    expect(open.threads.hosts).toHaveLength(1)
  })
})

describe('a pool that is stopped', () => {
  it('while it grows ends the loading replica, and the resize rejects', async () => {
    const kit = await PoolKit.open()
    const resizing = await resize(kit, 3)
    const stopping = follow(kit.pool.stop(1_000))
    await turn()
    expect(resizing.error?.code).toBe('ERR_MODEL_UNAVAILABLE')
    await kit.load()
    expect(stopping.value).toEqual([])
    expect(kit.threads.alive).toEqual([])
    await vi.advanceTimersByTimeAsync(60_000)
    expect(kit.threads.hosts).toHaveLength(2)
  })

  it('while it shrinks waits for the last run, and the resize rejects', async () => {
    const kit = await PoolKit.open({ replicas: 2 })
    kit.ask(1)
    kit.ask(2)
    const resizing = await resize(kit, 1)
    const stopping = follow(kit.pool.stop(1_000))
    await turn()
    expect(resizing.error?.code).toBe('ERR_MODEL_UNAVAILABLE')
    expect(stopping.isSettled).toBe(false)
    for (const x of [1, 2]) await kit.answer(x)
    expect(stopping.value).toEqual([])
    expect(kit.threads.alive).toEqual([])
  })

  it('while it shrinks reports a replica whose release hangs', async () => {
    const kit = await PoolKit.open({ replicas: 2 })
    const [first] = kit.threads.hosts as [FakeHost]
    first.onTask = () => undefined
    const resizing = await resize(kit, 1)
    const stopping = follow(kit.pool.stop(0))
    await vi.advanceTimersByTimeAsync(1_000)
    expect(resizing.error?.code).toBe('ERR_MODEL_UNAVAILABLE')
    expect(stopping.value).toHaveLength(1)
    expect(first).toMatchObject({ isDetached: true, isTerminated: true })
    first.task?.reply({ ok: true })
    await turn()
    expect(kit.threads.alive).toEqual([])
    expect(kit.pool.stuck()).toEqual([])
  })
})
