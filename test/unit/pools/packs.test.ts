import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Asked, PoolKit, turn } from '../../support/pool-harness.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** Returns a pool with one replica and a known run time of 0.5 ms, and requests 1 to `count` in one pack. */
async function packed(
  count: number,
  settings: Partial<PoolKit['settings']> = {},
): Promise<[PoolKit, Asked[]]> {
  const kit = await PoolKit.open({ maxPackMs: 2, ...settings })
  const [host] = kit.threads.hosts
  if (host !== undefined) host.runMs = 0.5
  const first = kit.ask(0)
  const requests = Array.from({ length: count }, (_, index) => kit.ask(index + 1))
  await kit.answer(0)
  expect(first.y).toBe(0)
  return [kit, requests]
}

describe('requests in a pack', () => {
  it('run one after another for up to maxPackMs in total', async () => {
    const [kit, requests] = await packed(6)
    expect(kit.threads.runs).toEqual([1, 2, 3, 4])
    expect(kit.pool.stats()).toMatchObject({ queued: 2, inFlight: 4, busy: 1 })
    kit.threads.hosts[0]?.answer()
    await turn()
    expect(requests.map(({ y }) => y)).toEqual([1, 2, 3, 4, undefined, undefined])
    expect(kit.threads.runs).toEqual([5, 6])
  })

  it('return in a buffer that is used again', async () => {
    const [kit] = await packed(3)
    const [host] = kit.threads.hosts
    const sizes = new Set<number>()
    for (let round = 0; round < 20; round += 1) {
      host?.answer()
      await turn()
      kit.ask(round)
      await turn()
      const { task } = host ?? {}
      if (task?.message.kind === 'run') sizes.add(task.message.buffer.byteLength)
    }
    expect(sizes).toEqual(new Set([1_024, 2_048, 4_096].filter((size) => sizes.has(size))))
    expect(sizes.size).toBeGreaterThan(0)
  })

  it('are not rejected if their replica dies in the run of another one', async () => {
    const [kit, requests] = await packed(4)
    const [host] = kit.threads.hosts
    if (host !== undefined) host.progress = 1
    host?.exit()
    await turn()
    expect(requests.map(({ code }) => code)).toEqual([undefined, 'ERR_REPLICA_EXITED', undefined, undefined])
    expect(kit.pool.stats()).toMatchObject({ queued: 0, inFlight: 3 })
    const later = kit.ask(9)
    await vi.advanceTimersByTimeAsync(200)
    await kit.load()
    // The other requests of the pack run before queued ones, in their order.
    expect(kit.threads.runs).toEqual([1, 3, 4])
    kit.threads.hosts[1]?.answer()
    await turn()
    await kit.answer(9)
    expect([...requests, later].map(({ y }) => y)).toEqual([1, undefined, 3, 4, 9])
  })

  it('are all sent again if their replica dies before it has started any', async () => {
    const [kit, requests] = await packed(2)
    const [host] = kit.threads.hosts
    if (host !== undefined) host.progress = -1
    host?.exit()
    await vi.advanceTimersByTimeAsync(200)
    await kit.load()
    kit.threads.hosts[1]?.answer()
    await turn()
    expect(requests.map(({ y }) => y)).toEqual([1, 2])
  })

  it('are not rejected if the run of another one hangs', async () => {
    const [kit, requests] = await packed(3, { stuckAfterMs: 1_000 })
    await vi.advanceTimersByTimeAsync(1_500)
    expect(requests.map(({ code }) => code)).toEqual(['ERR_REPLICA_STUCK', undefined, undefined])
    await kit.load()
    expect(kit.threads.alive[1]?.task?.message.kind).toBe('run')
    kit.threads.alive[1]?.answer()
    await turn()
    expect(requests.map(({ y }) => y)).toEqual([undefined, 2, 3])
  })

  it('are rejected with the reason when no replica is left to run them', async () => {
    const [kit, requests] = await packed(3, { crashBudget: 0 })
    kit.threads.hosts[0]?.exit()
    await turn()
    expect(requests.map(({ code }) => code)).toEqual([
      'ERR_REPLICA_EXITED',
      'ERR_CIRCUIT_OPEN',
      'ERR_CIRCUIT_OPEN',
    ])
    expect(kit.pool.leaseCount).toBe(0)
  })

  it('can be aborted while they move from one replica to another', async () => {
    const kit = await PoolKit.open({ maxPackMs: 2 })
    const [host] = kit.threads.hosts
    kit.ask(0)
    const controller = new AbortController()
    const [one, two] = [kit.ask(1), kit.ask(2, { signal: controller.signal })]
    if (host !== undefined) host.runMs = 0.5
    await kit.answer(0)
    host?.exit()
    await turn()
    expect(one.code).toBe('ERR_REPLICA_EXITED')
    controller.abort()
    await turn()
    expect(two.code).toBe('ERR_ABORTED')
    await vi.advanceTimersByTimeAsync(200)
    await kit.load()
    expect(kit.threads.runs).toEqual([])
    expect(kit.pool.stats()).toMatchObject({ idle: 1, inFlight: 0 })
  })

  it('whose inputs were transferred are rejected if the replica dies', async () => {
    const kit = await PoolKit.open({ maxPackMs: 2 })
    const [host] = kit.threads.hosts
    kit.ask(0)
    const [one, two] = [kit.ask(1), kit.ask(2, { transfer: true })]
    if (host !== undefined) host.runMs = 0.5
    await kit.answer(0)
    host?.exit()
    await turn()
    expect([one.code, two.code]).toEqual(['ERR_REPLICA_EXITED', 'ERR_REPLICA_EXITED'])
  })

  it('are all rejected when the pool is stopped, whether running or queued', async () => {
    const [kit, requests] = await packed(6)
    kit.threads.hosts[0]?.exit()
    await turn()
    const stopping = kit.pool.stop(100)
    await turn()
    expect(requests.map(({ code }) => code)).toEqual([
      'ERR_REPLICA_EXITED',
      ...Array(5).fill('ERR_MODEL_UNAVAILABLE'),
    ])
    await stopping
    expect(kit.pool.leaseCount).toBe(0)
  })
})
