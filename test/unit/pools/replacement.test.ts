import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { errors } from '../../../src/errors/errors.js'
import { FAILED_START_MS } from '../../../src/pools/replicas/quarantine.js'
import { PoolKit, turn } from '../../support/pool-harness.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** Kills the replica that runs `x` and loads its replacement `delayMs` later. */
async function crashAndReplace(kit: PoolKit, x: number, delayMs: number): Promise<void> {
  await kit.crash(x)
  await vi.advanceTimersByTimeAsync(delayMs)
  await kit.load()
}

describe('a replica that dies in a run', () => {
  it('rejects the request that it ran, and no other', async () => {
    const kit = await PoolKit.open({ replicas: 2 })
    const [hit, beside, waiting] = [kit.ask(1), kit.ask(2), kit.ask(3)]
    await kit.crash(1)
    expect(hit.outcome?.error).toMatchObject({
      code: 'ERR_REPLICA_EXITED',
      retryable: true,
      model: 'fake',
      version: '1',
    })
    expect(beside.outcome).toBeUndefined()
    expect(waiting.outcome).toBeUndefined()
    await kit.answer(2)
    await kit.answer(3)
    expect([beside.y, waiting.y]).toEqual([2, 3])
  })

  it('is replaced after the back-off, and waiting requests go on', async () => {
    const kit = await PoolKit.open()
    kit.ask(1)
    const waiting = kit.ask(2)
    await kit.crash(1)
    expect(kit.lost).toEqual([
      { cause: expect.objectContaining({ code: 'ERR_REPLICA_EXITED' }), restartInMs: 100 },
    ])
    expect(kit.pool.stats()).toMatchObject({ replicas: 0, busy: 0, idle: 0, queued: 1, restarts: 0 })
    await vi.advanceTimersByTimeAsync(99)
    expect(kit.threads.hosts).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(kit.threads.hosts).toHaveLength(2)
    expect(kit.pool.stats()).toMatchObject({ replicas: 1, starting: 1, restarts: 1 })
    await kit.load()
    await kit.answer(2)
    expect(waiting.y).toBe(2)
  })

  it('is counted once, whether its exit or the failure of its task is noticed first', async () => {
    const kit = await PoolKit.open({ replicas: 2 })
    kit.ask(1)
    await kit.crash(1)
    await vi.advanceTimersByTimeAsync(10_000)
    expect(kit.lost).toHaveLength(1)
    expect(kit.threads.hosts).toHaveLength(3)
  })

  it('is sent no further task', async () => {
    const kit = await PoolKit.open()
    const [first, second] = [kit.ask(1), kit.ask(2)]
    // As with Piscina, the task is rejected before the exit is announced.
    const host = kit.threads.running(1)
    host.task?.lose(new errors.ERR_REPLICA_EXITED('the thread is dying'))
    await turn()
    expect(first.code).toBe('ERR_REPLICA_EXITED')
    expect(second.outcome).toBeUndefined()
    expect(kit.ask(3).outcome).toBeUndefined()
    host.exit()
    await turn()
    expect(kit.lost).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(100)
    await kit.load()
    await kit.answer(2)
    expect(second.y).toBe(2)
  })

  it('is replaced after delays that double up to the maximum', async () => {
    const kit = await PoolKit.open({ crashBudget: 5, restartBackoffMs: 100, maxRestartBackoffMs: 300 })
    const delays: (number | undefined)[] = []
    for (let death = 0; death < 5; death += 1) {
      kit.ask(death)
      await kit.crash(death)
      const delay = kit.lost.at(-1)?.restartInMs
      delays.push(delay)
      await vi.advanceTimersByTimeAsync((delay as number) - 1)
      expect(kit.threads.loading).toHaveLength(0)
      await vi.advanceTimersByTimeAsync(1)
      await kit.load()
    }
    expect(delays).toEqual([100, 200, 300, 300, 300])
    expect(kit.pool.stats().restarts).toBe(5)
  })

  it('is replaced after the shortest delay again if there was no crash for a while', async () => {
    const kit = await PoolKit.open({ crashWindowMs: 1000 })
    for (const x of [1, 2]) {
      kit.ask(x)
      await crashAndReplace(kit, x, 200)
    }
    await vi.advanceTimersByTimeAsync(1000)
    kit.ask(3)
    await kit.crash(3)
    expect(kit.lost.map((one) => one.restartInMs)).toEqual([100, 200, 100])
  })

  it('frees no slot for a request that was aborted meanwhile', async () => {
    const kit = await PoolKit.open()
    const controller = new AbortController()
    kit.ask(1, { signal: controller.signal })
    controller.abort()
    await kit.crash(1)
    expect(kit.pool.stats()).toMatchObject({ replicas: 0, idle: 0, busy: 0, inFlight: 0 })
  })
})

describe('a replica that dies between two runs', () => {
  it('is sent no further request, and is replaced', async () => {
    const kit = await PoolKit.open({ replicas: 2 })
    kit.threads.hosts[1]?.exit()
    await turn()
    expect(kit.pool.stats()).toMatchObject({ replicas: 1, idle: 1 })
    const [first, second] = [kit.ask(1), kit.ask(2)]
    expect(kit.threads.runs).toEqual([1])
    await vi.advanceTimersByTimeAsync(100)
    await kit.load()
    await kit.answer(2)
    await kit.answer(1)
    expect([first.y, second.y]).toEqual([1, 2])
  })
})

describe('a replacement', () => {
  it('that fails to load is tried again after increasing delays', async () => {
    const kit = await PoolKit.open()
    kit.ask(1)
    await kit.crash(1)
    for (const delay of [100, 200, 400]) {
      await vi.advanceTimersByTimeAsync(delay)
      kit.threads.loading[0]?.failLoad()
      await turn()
    }
    expect(kit.lost.map((one) => [one.cause.code, one.restartInMs])).toEqual([
      ['ERR_REPLICA_EXITED', 100],
      ['ERR_MODEL_LOAD', 200],
      ['ERR_MODEL_LOAD', 400],
      ['ERR_MODEL_LOAD', 800],
    ])
    expect(kit.threads.alive).toHaveLength(0)
  })

  it('that dies during its load is tried again', async () => {
    const kit = await PoolKit.open()
    const waiting = [kit.ask(1), kit.ask(2)]
    await kit.crash(1)
    await vi.advanceTimersByTimeAsync(100)
    kit.threads.loading[0]?.exit()
    await turn()
    expect(kit.lost.map((one) => one.restartInMs)).toEqual([100, 200])
    await vi.advanceTimersByTimeAsync(200)
    await kit.load()
    await kit.answer(2)
    expect(waiting[1]?.y).toBe(2)
  })

  it('that dies before the reply of its load is read is tried again', async () => {
    const kit = await PoolKit.open()
    kit.ask(1)
    const waiting = kit.ask(2)
    await kit.crash(1)
    await vi.advanceTimersByTimeAsync(100)
    const [host] = kit.threads.loading
    host?.finishLoad()
    host?.exit()
    await turn()
    expect(kit.lost.map((one) => [one.cause.code, one.restartInMs])).toEqual([
      ['ERR_REPLICA_EXITED', 100],
      ['ERR_REPLICA_EXITED', 200],
    ])
    expect(kit.pool.stats()).toMatchObject({ replicas: 0, idle: 0, queued: 1 })
    await vi.advanceTimersByTimeAsync(200)
    await kit.load()
    await kit.answer(2)
    expect(waiting.y).toBe(2)
  })

  it('that does not load in time is abandoned and tried again', async () => {
    const kit = await PoolKit.open({ loadTimeoutMs: 500 })
    kit.ask(1)
    await kit.crash(1)
    await vi.advanceTimersByTimeAsync(100 + 500 + FAILED_START_MS)
    expect(kit.lost.at(-1)?.cause).toMatchObject({ code: 'ERR_MODEL_LOAD' })
    expect(kit.lost.at(-1)?.cause.message).toContain('500 ms')
    await vi.advanceTimersByTimeAsync(200)
    expect(kit.threads.loading).toHaveLength(2)
    // The first load returns late: its replica is ended and does not serve.
    kit.threads.loading[0]?.finishLoad()
    await turn()
    expect(kit.pool.stats()).toMatchObject({ idle: 0, starting: 1 })
    await kit.load()
    expect(kit.pool.stats()).toMatchObject({ idle: 1, starting: 0, replicas: 1 })
    expect(kit.threads.alive).toHaveLength(1)
  })
})

describe('a pool whose crash budget is spent', () => {
  it('rejects waiting requests, refuses new ones, and reports the failure once', async () => {
    const kit = await PoolKit.open({ crashBudget: 1 })
    kit.ask(1)
    await crashAndReplace(kit, 1, 100)
    const [last, waiting] = [kit.ask(2), kit.ask(3)]
    await kit.crash(2)
    expect(last.code).toBe('ERR_REPLICA_EXITED')
    expect(waiting.outcome?.error).toMatchObject({
      code: 'ERR_CIRCUIT_OPEN',
      retryable: true,
      model: 'fake',
      version: '1',
      cause: expect.objectContaining({ code: 'ERR_REPLICA_EXITED' }),
    })
    const refused = kit.ask(4)
    await turn()
    expect(refused.code).toMatch(/ERR_MODEL_UNAVAILABLE|ERR_CIRCUIT_OPEN/)
    expect(kit.failed.map((error) => error.code)).toEqual(['ERR_CIRCUIT_OPEN'])
    expect(kit.lost.at(-1)?.restartInMs).toBeUndefined()
    await vi.advanceTimersByTimeAsync(100_000)
    expect(kit.threads.hosts).toHaveLength(2)
    expect(kit.pool.leaseCount).toBe(0)
  })

  it('lets a request finish that another replica runs', async () => {
    const kit = await PoolKit.open({ replicas: 2, crashBudget: 0 })
    const [hit, beside] = [kit.ask(1), kit.ask(2)]
    const draining = kit.pool.drain()
    await kit.crash(1)
    expect(hit.code).toBe('ERR_REPLICA_EXITED')
    expect(kit.failed).toHaveLength(1)
    await kit.answer(2)
    expect(beside.y).toBe(2)
    await draining
  })

  it('reports the failure once even if a second replica dies later', async () => {
    const kit = await PoolKit.open({ replicas: 2, crashBudget: 0 })
    const both = [kit.ask(1), kit.ask(2)]
    await kit.crash(1)
    await kit.crash(2)
    expect(both.map((one) => one.code)).toEqual(['ERR_REPLICA_EXITED', 'ERR_REPLICA_EXITED'])
    expect(kit.failed).toHaveLength(1)
  })

  it('starts no further replica, neither for a pending restart nor for a later crash', async () => {
    const kit = await PoolKit.open({ replicas: 3, crashBudget: 1, crashWindowMs: 1000 })
    for (const x of [1, 2, 3]) kit.ask(x)
    await kit.crash(1)
    await kit.crash(2)
    expect(kit.failed).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(5000)
    expect(kit.threads.hosts).toHaveLength(3)
    await kit.crash(3)
    await vi.advanceTimersByTimeAsync(5000)
    expect(kit.threads.hosts).toHaveLength(3)
  })

  it('can be stopped like any other pool', async () => {
    const kit = await PoolKit.open({ replicas: 2, crashBudget: 0 })
    kit.ask(1)
    await kit.crash(1)
    const stopping = kit.pool.stop(1000)
    await turn()
    await expect(stopping).resolves.toEqual([])
    expect(kit.threads.alive).toEqual([])
  })
})

describe('a run that does not return', () => {
  const stuckAfterMs = 1000

  async function stuckKit(): Promise<PoolKit> {
    const kit = await PoolKit.open({ replicas: 2, stuckAfterMs })
    kit.ask(0)
    await kit.answer(0)
    return kit
  }

  it('puts its replica in quarantine, and a replacement takes its place', async () => {
    const kit = await stuckKit()
    const order: string[] = []
    kit.onEvent = (what) => order.push(what)
    const lost = kit.ask(1)
    lost.request.promise.catch(() => order.push('caller'))
    const { id: threadId } = kit.threads.running(1)
    await vi.advanceTimersByTimeAsync(stuckAfterMs + 500)
    expect(lost.outcome?.error).toMatchObject({
      code: 'ERR_REPLICA_STUCK',
      retryable: true,
      model: 'fake',
      version: '1',
    })
    expect(kit.stuck).toEqual([{ model: 'fake', version: '1', threadId, runningMs: expect.any(Number) }])
    expect(kit.stuck[0]?.runningMs).toBeGreaterThanOrEqual(stuckAfterMs)
    expect(order).toEqual(['replicaStuck', 'replicaLost', 'caller'])
    await vi.advanceTimersByTimeAsync(100)
    await kit.load()
    expect(kit.pool.stats()).toMatchObject({
      replicas: 2,
      idle: 2,
      busy: 0,
      quarantined: 1,
      restarts: 1,
      inFlight: 0,
    })
  })

  it('returns the requests of its pack that have not started to an idle replica at once', async () => {
    const kit = await PoolKit.open({ replicas: 2, stuckAfterMs, maxPackMs: 10_000 })
    kit.ask(0)
    kit.ask(1)
    const requests = [2, 3, 4].map((x) => kit.ask(x))
    // All three requests are in one pack.
    await kit.answer(0)
    await kit.answer(1)
    expect(kit.pool.stats()).toMatchObject({ busy: 1, idle: 1 })
    await vi.advanceTimersByTimeAsync(stuckAfterMs + 500)
    expect(requests[0]?.code).toBe('ERR_REPLICA_STUCK')
    expect(kit.threads.runs.sort()).toEqual([2, 3, 3, 4, 4])
    await kit.answer(3)
    expect(requests.slice(1).map(({ y }) => y)).toEqual([3, 4])
  })

  it('does not keep the process alive', async () => {
    const kit = await stuckKit()
    kit.ask(1)
    const host = kit.threads.running(1)
    await vi.advanceTimersByTimeAsync(stuckAfterMs + 500)
    expect(host.isDetached).toBe(true)
    expect(host.isGone).toBe(false)
  })

  it('ends its replica when it returns at last, and its outputs are dropped', async () => {
    const kit = await stuckKit()
    const lost = kit.ask(1)
    const host = kit.threads.running(1)
    await vi.advanceTimersByTimeAsync(stuckAfterMs + 500)
    host.answer(99)
    await turn()
    expect(host.isGone).toBe(true)
    expect(lost.y).toBeUndefined()
    expect(lost.settlements).toBe(1)
    expect(kit.pool.stats().quarantined).toBe(0)
    expect(kit.lost).toHaveLength(1)
  })

  it('is timed from its own start, not from the start of the previous run', async () => {
    const kit = await PoolKit.open({ stuckAfterMs })
    for (const x of [1, 2, 3]) {
      const one = kit.ask(x)
      await vi.advanceTimersByTimeAsync(stuckAfterMs * 0.75)
      await kit.answer(x)
      expect(one.y).toBe(x)
    }
    expect(kit.stuck).toEqual([])
  })

  it('is detected even if its caller has aborted', async () => {
    const kit = await stuckKit()
    const late = kit.ask(1, { timeoutMs: 100 })
    await vi.advanceTimersByTimeAsync(stuckAfterMs + 500)
    expect(late.code).toBe('ERR_DEADLINE_EXCEEDED')
    expect(kit.stuck).toHaveLength(1)
  })

  it('is never quarantined when the limit is 0', async () => {
    const kit = await PoolKit.open({ stuckAfterMs: 0 })
    const patient = kit.ask(1)
    await vi.advanceTimersByTimeAsync(3_600_000)
    await kit.answer(1)
    expect(patient.y).toBe(1)
  })

  it('counts against the crash budget like a crash', async () => {
    const kit = await PoolKit.open({ stuckAfterMs, crashBudget: 0 })
    const [stuck, waiting] = [kit.ask(1), kit.ask(2)]
    await vi.advanceTimersByTimeAsync(stuckAfterMs + 500)
    expect(stuck.code).toBe('ERR_REPLICA_STUCK')
    expect(waiting.code).toBe('ERR_CIRCUIT_OPEN')
    expect(kit.failed).toHaveLength(1)
  })

  it('is detected while the pool drains, so that the drain ends', async () => {
    const kit = await stuckKit()
    kit.ask(1)
    let isDrained = false
    void kit.pool.drain().then(() => {
      isDrained = true
    })
    await vi.advanceTimersByTimeAsync(stuckAfterMs + 500)
    expect(isDrained).toBe(true)
    const { id: threadId } = kit.threads.running(1)
    await vi.advanceTimersByTimeAsync(100)
    await kit.load()
    const stopping = kit.pool.stop(1000)
    await vi.advanceTimersByTimeAsync(1000)
    expect(await stopping).toEqual([{ model: 'fake', version: '1', threadId, runningMs: expect.any(Number) }])
    expect(kit.threads.alive).toHaveLength(1)
  })
})

describe('a replacement that fails to load', () => {
  it('does not affect the serving replicas, and is tried again after increasing delays', async () => {
    const kit = await PoolKit.open({ replicas: 2, crashBudget: 2 })
    kit.ask(1)
    await kit.crash(1)
    let delayMs = 100
    for (const nextDelayMs of [100, 200, 400, 800]) {
      await vi.advanceTimersByTimeAsync(delayMs)
      kit.threads.loading[0]?.failLoad()
      await turn()
      expect(kit.lost.at(-1)).toEqual({
        cause: expect.objectContaining({ code: 'ERR_MODEL_LOAD' }),
        restartInMs: nextDelayMs,
      })
      delayMs = nextDelayMs
    }
    expect(kit.failed).toEqual([])
    const beside = kit.ask(2)
    await kit.answer(2)
    expect(beside.y).toBe(2)
    await vi.advanceTimersByTimeAsync(delayMs)
    await kit.load()
    expect(kit.pool.stats()).toMatchObject({ replicas: 2, idle: 2 })
  })

  it('fails the pool when no replica is left', async () => {
    const kit = await PoolKit.open({ crashBudget: 1 })
    kit.ask(1)
    await kit.crash(1)
    await vi.advanceTimersByTimeAsync(100)
    kit.threads.loading[0]?.failLoad()
    await turn()
    expect(kit.failed).toMatchObject([{ code: 'ERR_CIRCUIT_OPEN', cause: { code: 'ERR_MODEL_LOAD' } }])
  })
})
