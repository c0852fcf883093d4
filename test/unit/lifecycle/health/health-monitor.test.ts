import { AsyncLocalStorage } from 'node:async_hooks'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { LifecycleManager } from '../../../../src/lifecycle/lifecycle-manager.js'
import { deferred, quietManager, watch } from '../../../support/lifecycle-harness.js'

beforeEach(() => vi.useFakeTimers({ now: 1_000_000 }))
afterEach(() => vi.useRealTimers())

async function running(): Promise<LifecycleManager> {
  const manager = quietManager()
  await manager.startup()
  return manager
}

describe('a health report', () => {
  it('is healthy and ready while the application runs and no check fails', async () => {
    const manager = await running()
    manager.addHealthCheck('nothing', () => undefined)
    manager.addHealthCheck('true', async () => true)
    manager.addHealthCheck('detail', () => ({ status: 'healthy', detail: { pings: 3 } }))
    await vi.advanceTimersByTimeAsync(2_000)
    const report = await manager.healthCheck()
    expect(report).toMatchObject({
      status: 'healthy',
      isLive: true,
      isReady: true,
      state: 'running',
      uptimeSeconds: 2,
      checkedAt: 1_002_000,
    })
    expect(Object.keys(report.checks)).toEqual(['nothing', 'true', 'detail'])
    expect(report.checks.detail).toMatchObject({
      status: 'healthy',
      detail: { pings: 3 },
      critical: true,
      lastError: undefined,
    })
  })

  it.each([
    ['uninitialized', async () => quietManager(), true],
    [
      'stopped',
      async () => {
        const manager = await running()
        await manager.shutdown()
        return manager
      },
      true,
    ],
    [
      'error',
      async () => {
        const manager = quietManager()
        manager.addStartupHandler(() => Promise.reject(new Error('broken')))
        await manager.startup().catch(() => undefined)
        return manager
      },
      false,
    ],
  ])('is not ready in the state %s', async (state, make, isLive) => {
    expect(await (await make()).healthCheck()).toMatchObject({
      status: 'unhealthy',
      isReady: false,
      isLive,
      state,
    })
  })

  it('is not ready from the moment a shutdown begins', async () => {
    const manager = await running()
    const closing = deferred()
    manager.addShutdownHandler(() => closing.promise)
    const stopping = manager.shutdown()
    expect(await manager.healthCheck()).toMatchObject({ isReady: false, isLive: true, state: 'stopping' })
    closing.resolve()
    await stopping
  })

  it.each([
    ['returns false', (): unknown => false, 'it answered false'],
    [
      'throws',
      (): unknown => {
        throw new Error('no connection')
      },
      'no connection',
    ],
    ['rejects', (): unknown => Promise.reject(new Error('refused')), 'refused'],
    ['gives a reason', (): unknown => ({ status: 'unhealthy', reason: 'full' }), 'full'],
    ['reports only its status', (): unknown => ({ status: 'unhealthy' }), 'it says so'],
    ['returns an error', (): unknown => new Error('down'), 'down'],
  ] as const)('is unhealthy while a critical check %s', async (_, check, reason) => {
    const manager = await running()
    manager.addHealthCheck('database', check)
    manager.addHealthCheck('other', () => true)
    const report = await manager.healthCheck()
    expect(report).toMatchObject({ status: 'unhealthy', isReady: false, isLive: true })
    expect(report.checks.database).toMatchObject({
      status: 'unhealthy',
      reason,
      lastError: { reason, at: 1_000_000 },
    })
    expect(report.checks.other?.status).toBe('healthy')
  })

  it.each(['PONG', null, 0, { rowCount: 1 }, { status: 'ready' }])(
    'is healthy when a check returns an unknown value such as %j',
    async (answer) => {
      const manager = await running()
      manager.addHealthCheck('database', () => answer)
      expect(await manager.healthCheck()).toMatchObject({ status: 'healthy', isReady: true })
    },
  )

  it('is degraded, and ready, while only a non-critical check fails', async () => {
    const manager = await running()
    manager.addHealthCheck('cache', () => false, { critical: false })
    expect(await manager.healthCheck()).toMatchObject({ status: 'degraded', isReady: true, isLive: true })
  })

  it('is degraded, and ready, while a critical check reports that it is degraded', async () => {
    const manager = await running()
    manager.addHealthCheck('models', () => ({ status: 'degraded', reason: 'one of two is away' }))
    const report = await manager.healthCheck()
    expect(report).toMatchObject({ status: 'degraded', isReady: true, isLive: true })
    expect(report.checks.models).toMatchObject({ status: 'degraded', reason: 'one of two is away' })
    manager.addHealthCheck('database', () => false)
    expect(await manager.healthCheck()).toMatchObject({ status: 'unhealthy', isReady: false })
  })

  it('is not live while a critical liveness check fails', async () => {
    const manager = await running()
    manager.addHealthCheck('loop', () => false, { affects: 'liveness' })
    expect(await manager.healthCheck()).toMatchObject({ status: 'unhealthy', isReady: false, isLive: false })
  })

  it('reports since when each check has had its status, and its last failure', async () => {
    const manager = await running()
    let isUp = true
    manager.addHealthCheck('database', () => isUp || Promise.reject(new Error('gone')))
    await manager.healthCheck()
    await vi.advanceTimersByTimeAsync(100)
    expect((await manager.healthCheck()).checks.database).toMatchObject({
      since: 1_000_000,
      checkedAt: 1_000_100,
    })
    isUp = false
    await vi.advanceTimersByTimeAsync(100)
    expect((await manager.healthCheck()).checks.database).toMatchObject({
      status: 'unhealthy',
      since: 1_000_200,
    })
    isUp = true
    await vi.advanceTimersByTimeAsync(100)
    expect((await manager.healthCheck()).checks.database).toMatchObject({
      status: 'healthy',
      since: 1_000_300,
      reason: undefined,
      lastError: { reason: 'gone', at: 1_000_200 },
    })
  })
})

describe('a health check that hangs', () => {
  it('fails at its timeout, and its signal aborts', async () => {
    const manager = await running()
    let isTold = false
    manager.addHealthCheck(
      'database',
      ({ signal }) =>
        new Promise(() =>
          signal.addEventListener('abort', () => {
            isTold = true
          }),
        ),
      { timeoutMs: 300 },
    )
    const reporting = manager.healthCheck()
    await vi.advanceTimersByTimeAsync(300)
    const report = await reporting
    expect(report.checks.database).toMatchObject({
      status: 'unhealthy',
      durationMs: 300,
      reason: 'the check has not returned for 300 ms',
    })
    expect(isTold).toBe(true)
  })

  it('is not called again until it returns, and fails at once meanwhile', async () => {
    const manager = await running()
    const hanging = deferred()
    let calls = 0
    manager.addHealthCheck(
      'database',
      () => {
        calls += 1
        return calls === 1 ? hanging.promise : true
      },
      { timeoutMs: 300 },
    )
    const first = manager.healthCheck()
    await vi.advanceTimersByTimeAsync(1_000)
    await first
    const second = watch(manager.healthCheck())
    await vi.advanceTimersByTimeAsync(0)
    expect(second.outcome).toBe('done')
    expect((await manager.healthCheck()).checks.database?.reason).toBe(
      'the check has not returned for 1000 ms',
    )
    expect(calls).toBe(1)
    hanging.resolve()
    await vi.advanceTimersByTimeAsync(0)
    expect((await manager.healthCheck()).checks.database?.status).toBe('healthy')
    expect(calls).toBe(2)
  })
})

describe('a health check', () => {
  it('that requests a health report itself hangs until its timeout and harms nothing else', async () => {
    const manager = await running()
    manager.addHealthCheck('itself', () => manager.healthCheck(), { timeoutMs: 100 })
    const reporting = manager.healthCheck()
    await vi.advanceTimersByTimeAsync(100)
    expect((await reporting).checks.itself).toMatchObject({ status: 'unhealthy' })
  })

  it('with an interval does not run in the async context of the code that added it', async () => {
    const store = new AsyncLocalStorage<string>()
    const manager = await running()
    const seen: unknown[] = []
    store.run('a request', () => {
      manager.addHealthCheck('database', () => void seen.push(store.getStore()), { intervalMs: 10 })
    })
    await vi.advanceTimersByTimeAsync(25)
    expect(seen).toEqual([undefined, undefined])
  })

  it('cannot be added once the application has stopped', async () => {
    const manager = await running()
    await manager.shutdown()
    expect(() => manager.addHealthCheck('late', () => true)).toThrow(/has ended/)
  })

  it('runs once for reports that are requested at the same time', async () => {
    const manager = await running()
    let calls = 0
    manager.addHealthCheck('database', async () => {
      calls += 1
    })
    await Promise.all([manager.healthCheck(), manager.healthCheck()])
    expect(calls).toBe(1)
  })

  it('with an interval runs periodically until the shutdown, and reports contain its last result', async () => {
    const manager = await running()
    let calls = 0
    manager.addHealthCheck(
      'database',
      () => {
        calls += 1
      },
      { intervalMs: 1_000 },
    )
    await vi.advanceTimersByTimeAsync(3_500)
    expect(calls).toBe(3)
    expect((await manager.healthCheck()).checks.database?.checkedAt).toBe(1_003_000)
    expect(calls).toBe(3)
    await manager.shutdown()
    await vi.advanceTimersByTimeAsync(5_000)
    expect(calls).toBe(3)
  })

  it('is refused with a taken or an empty name, without a function, or with an unknown option', async () => {
    const manager = await running()
    manager.addHealthCheck('database', () => true)
    expect(() => manager.addHealthCheck('database', () => true)).toThrow(/"database" already/)
    expect(() => manager.addHealthCheck('', () => true)).toThrow(/non-empty/)
    expect(() => manager.addHealthCheck('cache', true as never)).toThrow(
      'the check "cache" must be a function, not true',
    )
    expect(() => manager.addHealthCheck('cache', () => true, { every: 5 } as never)).toThrow(/`every`/)
    expect(() => manager.addHealthCheck('cache', () => true, { timeoutMs: 0 })).toThrow(/`timeoutMs` is 0/)
  })
})
