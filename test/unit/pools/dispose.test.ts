import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { follow, PoolKit, source, turn } from '../../support/pool-harness.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** A source that counts how often what it loads is given back. */
function disposable(dispose: () => Promise<void> = async () => undefined) {
  const counted = vi.fn(dispose)
  return { dispose: counted, from: { ...source, dispose: counted } }
}

describe('what the replicas of a pool have loaded is given back', () => {
  it('once, when the pool is stopped and the last thread has ended, however often that is asked for', async () => {
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

  it('by a pool that was never started', async () => {
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

  it('by a pool that is stopped while a load does not return, when it returns', async () => {
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

  it('only when a run in quarantine has returned too', async () => {
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

  it('and a failure of that is reported once, and ends nothing', async () => {
    const { from } = disposable(() => Promise.reject(new Error('no')))
    const kit = await PoolKit.open({}, from)
    await kit.pool.stop(1_000)
    await kit.pool.whenGone()
    expect(kit.unexpected).toEqual([new Error('no')])
  })
})
