import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { errors } from '../../../../src/errors/errors.js'
import type { PoolSource } from '../../../../src/pools/settings/pool-settings.js'
import { follow, PoolKit, source, turn } from '../../../support/pool-harness.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** Returns a pool that has just opened with its first replica. */
async function opened(settings: ConstructorParameters<typeof PoolKit>[0], from = source): Promise<PoolKit> {
  const kit = new PoolKit(settings, from)
  const starting = kit.pool.start()
  await kit.load()
  await starting
  return kit
}

async function failLoad(kit: PoolKit, error?: Error): Promise<void> {
  kit.threads.loading[0]?.failLoad(error)
  await turn()
}

describe('a pool that has opened with its first replica', () => {
  it('starts the others one after another, and each serves at once', async () => {
    const kit = await opened({ replicas: 3 })
    const requests = [1, 2, 3].map((x) => kit.ask(x))
    expect(kit.threads.runs).toEqual([1])
    expect(kit.threads.loading).toHaveLength(1)
    await kit.load()
    expect(kit.threads.runs).toEqual([1, 2])
    expect(kit.threads.loading).toHaveLength(1)
    await kit.load()
    expect(kit.threads.runs).toEqual([1, 2, 3])
    for (const x of [1, 2, 3]) await kit.answer(x)
    expect(requests.map((one) => one.y)).toEqual([1, 2, 3])
    expect(kit.pool.stats()).toMatchObject({ wanted: 3, replicas: 3, idle: 3, fault: undefined })
    expect(kit.threads.hosts).toHaveLength(3)
  })

  it('starts no other replica before the first replica has answered a waiting request', async () => {
    const kit = new PoolKit({ replicas: 2 })
    const starting = kit.pool.start().then(() => kit.ask(1))
    kit.threads.loading[0]?.finishLoad()
    await starting
    await turn()
    expect(kit.threads.hosts).toHaveLength(1)
    expect(kit.pool.stats()).toMatchObject({ isGrowing: true })
    await kit.answer(1)
    expect(kit.threads.loading).toHaveLength(1)
  })

  it('does not wait long for a slow first request', async () => {
    const kit = new PoolKit({ replicas: 2 })
    const starting = kit.pool.start().then(() => kit.ask(1))
    kit.threads.loading[0]?.finishLoad()
    await starting
    await vi.advanceTimersByTimeAsync(500)
    expect(kit.threads.loading).toHaveLength(1)
  })

  it('starts no other replica when it is stopped before the first request has completed', async () => {
    const kit = new PoolKit({ replicas: 2 })
    const starting = kit.pool.start().then(() => kit.ask(1))
    kit.threads.loading[0]?.finishLoad()
    await starting
    await turn()
    const stopping = kit.pool.stop(0)
    await vi.advanceTimersByTimeAsync(1_000)
    await stopping
    expect(kit.threads.hosts).toHaveLength(1)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('waits for a turn among concurrent loads for every replica but the first', async () => {
    const turns: (() => void)[] = []
    const inTurn: PoolSource['inTurn'] = async (load) => {
      await new Promise<void>((resolve) => turns.push(resolve))
      await load()
    }
    const kit = await opened({ replicas: 3 }, { ...source, inTurn })
    expect(turns).toHaveLength(1)
    expect(kit.threads.hosts).toHaveLength(1)
    turns.shift()?.()
    await turn()
    expect(kit.threads.loading).toHaveLength(1)
    await kit.load()
    expect(turns).toHaveLength(1)
  })

  it('goes on serving when another replica cannot be started, reports why, and tries again after increasing delays', async () => {
    const kit = await opened({ replicas: 2, crashBudget: 1, restartBackoffMs: 100, maxRestartBackoffMs: 300 })
    // The start is tried more often than the crash budget allows replacements.
    for (const delayMs of [100, 200, 300, 300]) {
      await failLoad(kit, new errors.ERR_MODEL_LOAD('no memory'))
      expect(kit.lost.at(-1)).toMatchObject({ restartInMs: delayMs, cause: { message: 'no memory' } })
      expect(kit.pool.stats()).toMatchObject({ wanted: 2, replicas: 1, idle: 1, fault: 'no memory' })
      const one = kit.ask(1)
      await kit.answer(1)
      expect(one.y).toBe(1)
      await vi.advanceTimersByTimeAsync(delayMs - 1)
      expect(kit.threads.loading).toHaveLength(0)
      await vi.advanceTimersByTimeAsync(1)
    }
    await kit.load()
    expect(kit.pool.stats()).toMatchObject({ replicas: 2, idle: 2, restarts: 0, fault: undefined })
    expect(kit.failed).toEqual([])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('resets the delay after a successful start', async () => {
    const kit = await opened({ replicas: 3, restartBackoffMs: 100 })
    await failLoad(kit)
    await vi.advanceTimersByTimeAsync(100)
    await kit.load()
    await failLoad(kit)
    expect(kit.lost.map((one) => one.restartInMs)).toEqual([100, 100])
  })

  it('keeps the serving replicas when a replacement cannot be started, however often', async () => {
    const kit = await PoolKit.open({ replicas: 2, crashBudget: 2, restartBackoffMs: 100 })
    kit.ask(1)
    await kit.crash(1)
    await vi.advanceTimersByTimeAsync(100)
    for (let failures = 0; failures < 5; failures += 1) {
      await failLoad(kit)
      await vi.advanceTimersByTimeAsync(5_000)
    }
    expect(kit.failed).toEqual([])
    await kit.load()
    expect(kit.pool.stats()).toMatchObject({ replicas: 2, idle: 2, fault: undefined })
  })

  it('fails when its last serving replica dies and cannot be replaced', async () => {
    const kit = await opened({ replicas: 2, crashBudget: 1, restartBackoffMs: 100 })
    await failLoad(kit)
    kit.ask(1)
    await kit.crash(1)
    const waiting = kit.ask(2)
    await vi.advanceTimersByTimeAsync(100)
    while (kit.threads.loading.length > 0) await failLoad(kit)
    await turn()
    expect(kit.failed).toMatchObject([{ code: 'ERR_CIRCUIT_OPEN' }])
    expect(waiting.code).toBe('ERR_CIRCUIT_OPEN')
    await vi.runAllTimersAsync()
    expect(kit.threads.loading).toEqual([])
  })

  it('replaces a replica that dies while others start', async () => {
    const kit = await opened({ replicas: 2 })
    kit.threads.hosts[0]?.exit()
    await turn()
    await kit.load()
    await vi.advanceTimersByTimeAsync(100)
    await kit.load()
    expect(kit.pool.stats()).toMatchObject({ replicas: 2, idle: 2, restarts: 1 })
  })

  it('starts no other replica when it is stopped, and ends the one that loads', async () => {
    const kit = await opened({ replicas: 3 })
    const stopping = follow(kit.pool.stop(1_000))
    for (const host of kit.threads.loading) host.finishLoad()
    await vi.advanceTimersByTimeAsync(1_000)
    expect(stopping.value).toEqual([])
    expect(kit.threads.alive).toEqual([])
    expect(kit.threads.hosts).toHaveLength(2)
  })

  it('leaves no timer behind when it is stopped before another attempt', async () => {
    const kit = await opened({ replicas: 2 })
    await failLoad(kit)
    await kit.pool.stop(1_000)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('rejects a concurrent resize with the first failure, and keeps the replicas that it has', async () => {
    const kit = await opened({ replicas: 2 })
    const resizing = follow(kit.pool.resize(3))
    await turn()
    await failLoad(kit, new errors.ERR_MODEL_LOAD('no memory'))
    expect(resizing.error).toMatchObject({ message: 'no memory' })
    expect(kit.pool.wanted).toBe(1)
    await vi.runAllTimersAsync()
    expect(kit.threads.loading).toEqual([])
  })

  it('can be made smaller while others start', async () => {
    const kit = await opened({ replicas: 3 })
    const resizing = follow(kit.pool.resize(1))
    await turn()
    await kit.load()
    expect(resizing.isSettled).toBe(true)
    expect(kit.pool.stats()).toMatchObject({ wanted: 1, replicas: 1, idle: 1 })
    expect(kit.threads.alive).toHaveLength(1)
  })
})

describe('whenServing', () => {
  it('resolves when that many replicas serve, or all that the pool wants', async () => {
    const kit = await opened({ replicas: 3 })
    const [one, two, many] = [1, 2, 9].map((count) => follow(kit.pool.whenServing(count)))
    await turn()
    const settled = (): unknown[] => [one, two, many].map((waiting) => waiting?.isSettled)
    expect(settled()).toEqual([true, false, false])
    await kit.load()
    expect(settled()).toEqual([true, true, false])
    await kit.load()
    expect(settled()).toEqual([true, true, true])
  })

  it('rejects when one of them cannot be started', async () => {
    const kit = await opened({ replicas: 2 })
    const waiting = follow(kit.pool.whenServing(2))
    await failLoad(kit, new errors.ERR_MODEL_LOAD('no memory'))
    expect(waiting.error).toMatchObject({ message: 'no memory' })
  })

  it('rejects when the pool is stopped', async () => {
    const kit = await opened({ replicas: 2 })
    const waiting = follow(kit.pool.whenServing(2))
    const stopping = kit.pool.stop(0)
    await turn()
    expect(waiting.error).toMatchObject({ code: 'ERR_MODEL_UNAVAILABLE' })
    await vi.advanceTimersByTimeAsync(1_000)
    await stopping
  })

  it('rejects when the crash budget is spent', async () => {
    const kit = await opened({ replicas: 2, crashBudget: 0 })
    const waiting = follow(kit.pool.whenServing(2))
    kit.threads.hosts[0]?.exit()
    await turn()
    expect(waiting.error).toMatchObject({ code: 'ERR_MODEL_UNAVAILABLE' })
  })

  it('resolves when the pool is made smaller meanwhile', async () => {
    const kit = await opened({ replicas: 2 })
    const waiting = follow(kit.pool.whenServing(2))
    void kit.pool.resize(1)
    await turn()
    expect(waiting.isSettled).toBe(true)
    expect(waiting.error).toBeUndefined()
  })
})
