import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { follow, PoolKit, source, turn } from '../../support/pool-harness.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** Returns a source that counts how often its resources are released. */
function disposable(dispose: () => Promise<void> = async () => undefined) {
  const counted = vi.fn(dispose)
  return { dispose: counted, from: { ...source, dispose: counted } }
}

describe('the resources that the replicas of a pool have loaded are released', () => {
  it('once, after the pool is stopped and the last thread has ended, however often the stop is requested', async () => {
    const { dispose, from } = disposable()
    const kit = await PoolKit.open({ replicas: 2 }, from)
    for (const host of kit.threads.hosts) host.onTask = () => undefined
    const stopping = follow(kit.pool.stop(1_000))
    await turn()
    kit.threads.hosts[0]?.task?.reply({ ok: true })
    await turn()
    expect(dispose).not.toHaveBeenCalled()
    kit.threads.hosts[1]?.task?.reply({ ok: true })
    await turn()
    expect(stopping.value).toEqual([])
    expect(dispose).toHaveBeenCalledOnce()
    await kit.pool.stop(1_000)
    await Promise.all([kit.pool.whenGone(), kit.pool.whenGone()])
    expect(dispose).toHaveBeenCalledOnce()
  })

  it('by a pool that never started', async () => {
    const { dispose, from } = disposable()
    await new PoolKit({}, from).pool.stop(0)
    await turn()
    expect(dispose).toHaveBeenCalledOnce()
  })

  it('by a pool whose start fails', async () => {
    const { dispose, from } = disposable()
    const kit = new PoolKit({}, from)
    const starting = follow(kit.pool.start())
    kit.threads.loading[0]?.failLoad()
    await turn()
    expect(starting.error?.code).toBe('ERR_MODEL_LOAD')
    expect(dispose).toHaveBeenCalledOnce()
  })

  it('by a pool that is stopped during a load that hangs, when that load returns', async () => {
    const { dispose, from } = disposable()
    const kit = new PoolKit({}, from)
    follow(kit.pool.start())
    const stopping = follow(kit.pool.stop(100))
    await vi.advanceTimersByTimeAsync(5_000)
    expect(stopping.value).toHaveLength(1)
    expect(dispose).not.toHaveBeenCalled()
    kit.threads.loading[0]?.finishLoad()
    await turn()
    expect(dispose).toHaveBeenCalledOnce()
  })

  it('only after the run of a quarantined replica has returned too', async () => {
    const { dispose, from } = disposable()
    const kit = await PoolKit.open({ stuckAfterMs: 400, crashBudget: 0 }, from)
    kit.ask(1)
    await vi.advanceTimersByTimeAsync(500)
    expect(kit.failed).toHaveLength(1)
    const stopping = follow(kit.pool.stop(1_000))
    await vi.advanceTimersByTimeAsync(1_000)
    expect(stopping.value).toHaveLength(1)
    expect(dispose).not.toHaveBeenCalled()
    await kit.answer(1)
    expect(dispose).toHaveBeenCalledOnce()
  })

  it('and a failure of that is reported once, and does not fail the stop', async () => {
    const { from } = disposable(() => Promise.reject(new Error('no')))
    const kit = await PoolKit.open({}, from)
    await kit.pool.stop(1_000)
    await kit.pool.whenGone()
    expect(kit.unexpected).toEqual([new Error('no')])
  })
})
