import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { FakeHost } from '../../support/fake-host.js'
import { follow, PoolKit, source } from '../../support/pool-harness.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const stuckAfterMs = 1_000

/** Returns a pool whose replicas can be killed during a task. */
async function killable(settings: Partial<PoolKit['settings']> = {}): Promise<PoolKit> {
  const kit = new PoolKit({ stuckAfterMs, ...settings })
  kit.threads.areKillable = true
  const starting = kit.pool.start()
  await kit.load(kit.settings.replicas)
  await starting
  return kit
}

describe('a replica whose host can be killed', () => {
  it('is killed at once when its run hangs, and is reported and replaced', async () => {
    const kit = await killable({ maxPackMs: 10_000 })
    kit.ask(0)
    const requests = [1, 2, 3].map((x) => kit.ask(x))
    await kit.answer(0)
    const host = kit.threads.running(1)
    const { id } = host
    host.progress = 1
    await vi.advanceTimersByTimeAsync(stuckAfterMs + 500)
    expect(host.isGone).toBe(true)
    expect(kit.stuck).toEqual([{ model: 'fake', version: '1', threadId: id, runningMs: expect.any(Number) }])
    expect(requests[1]?.outcome?.error).toMatchObject({
      code: 'ERR_REPLICA_STUCK',
      message: expect.stringContaining('was ended'),
    })
    expect(kit.pool.stats().quarantined).toBe(0)
    await kit.load()
    kit.threads.hosts[1]?.answer()
    await vi.advanceTimersByTimeAsync(0)
    expect(requests.map(({ y, code }) => y ?? code)).toEqual([1, 'ERR_REPLICA_STUCK', 3])
    expect(kit.lost).toHaveLength(1)
    expect(kit.pool.stats()).toMatchObject({ replicas: 1, idle: 1, restarts: 1, inFlight: 0 })
  })

  it('is killed when the timeout of a stop is over, and none is left', async () => {
    const kit = await killable()
    kit.ask(1)
    const stopping = follow(kit.pool.stop(500))
    await vi.advanceTimersByTimeAsync(499)
    expect(stopping.isSettled).toBe(false)
    expect(kit.threads.alive).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(stopping.value).toEqual([])
    expect(kit.threads.alive).toEqual([])
  })

  it('may finish its run within the timeout of a stop, and releases its session', async () => {
    const kit = await killable()
    kit.ask(1)
    const stopping = follow(kit.pool.stop(500))
    await vi.advanceTimersByTimeAsync(400)
    const [host] = kit.threads.hosts as [FakeHost]
    host.answer()
    await vi.advanceTimersByTimeAsync(0)
    expect(host.tasks.map(({ kind }) => kind)).toEqual(['load', 'run', 'release'])
    expect(stopping.value).toEqual([])
  })

  it('is killed when its load takes too long', async () => {
    const kit = new PoolKit({ loadTimeoutMs: 2_000 }, source)
    kit.threads.areKillable = true
    const starting = follow(kit.pool.start())
    await vi.advanceTimersByTimeAsync(10_000)
    expect(starting.error).toMatchObject({ code: 'ERR_MODEL_LOAD' })
    expect(kit.threads.alive).toEqual([])
    expect(kit.pool.stuck()).toEqual([])
  })

  it('is reported as stuck if it has not exited a second after it was killed', async () => {
    const kit = await killable()
    kit.ask(1)
    const [host] = kit.threads.hosts as [FakeHost]
    vi.spyOn(host, 'terminate').mockReturnValue(new Promise(() => undefined))
    const stopping = follow(kit.pool.stop(500))
    await vi.advanceTimersByTimeAsync(1_500)
    expect(stopping.value).toMatchObject([{ threadId: host.id }])
    expect(host.isDetached).toBe(true)
  })
})
