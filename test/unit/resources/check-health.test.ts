import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { follow, turn } from '../../support/pool-harness.js'
import { Deferred, ResourceKit } from '../../support/resource-harness.js'

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }))
afterEach(() => void vi.useRealTimers())

describe('the health of a resource', () => {
  it.each([[true], [undefined], [null], ['fine'], [0]])(
    'is good when its check returns %o',
    async (answer) => {
      const kit = new ResourceKit()
      await kit.init('db', { check: async () => answer })
      await expect(kit.manager.checkResourceHealth('db')).resolves.toEqual({
        name: 'db',
        status: 'healthy',
        durationMs: 0,
        checkedAt: 1_000_000,
      })
    },
  )

  it('is bad when its check returns false, throws or rejects', async () => {
    const kit = new ResourceKit()
    const cause = new Error('gone')
    await kit.init('a', { check: () => false })
    await kit.init('b', { check: () => Promise.reject(cause) })
    await kit.init('c', {
      check: () => {
        throw 'plain'
      },
    })
    const [a, b, c] = await kit.manager.checkAllResourcesHealth()
    expect(a).toMatchObject({ status: 'unhealthy', error: 'its health check failed: it answered false' })
    expect(b).toMatchObject({ status: 'unhealthy', error: 'gone', cause })
    expect(c).toMatchObject({ status: 'unhealthy', error: 'plain' })
  })

  it('is degraded when its check reports that', async () => {
    const kit = new ResourceKit()
    await kit.init('db', { check: () => ({ status: 'degraded', reason: 'a replica is away' }) })
    expect(await kit.manager.checkResourceHealth('db')).toMatchObject({
      status: 'degraded',
      error: 'it is degraded: a replica is away',
    })
  })

  it('is good without a check while the resource is running', async () => {
    const { manager } = new ResourceKit()
    manager.registerResourceType('plain', () => 1)
    await manager.initializeResource({ name: 'n', resourceType: 'plain' })
    expect(await manager.checkResourceHealth('n')).toMatchObject({ status: 'healthy' })
    await manager.cleanupResource('n')
    expect(await manager.checkResourceHealth('n')).toMatchObject({
      status: 'unhealthy',
      error: 'it is stopped',
    })
  })

  it('is bad in any other state than running, and the check is not called', async () => {
    const kit = new ResourceKit()
    const check = vi.fn()
    const gate = new Deferred()
    follow(kit.init('db', { init: () => gate.promise, check }))
    expect(await kit.manager.checkResourceHealth('db')).toMatchObject({ error: 'it is initializing' })
    gate.reject(new Error('refused'))
    await turn()
    expect(await kit.manager.checkResourceHealth('db')).toMatchObject({
      status: 'unhealthy',
      error: 'it is error: resource db could not be initialised: refused',
      cause: { code: 'ERR_RESOURCE_INIT' },
    })
    expect(check).not.toHaveBeenCalled()
  })

  it('leaves out resources that have been cleaned up', async () => {
    const kit = new ResourceKit()
    for (const name of ['a', 'b', 'c']) await kit.init(name)
    await kit.manager.cleanupResource('b')
    const all = await kit.manager.checkAllResourcesHealth()
    expect(all.map(({ name }) => name)).toEqual(['a', 'c'])
  })
})

describe('the health check of a resource', () => {
  it('runs once for concurrent callers, and again for later ones', async () => {
    const kit = new ResourceKit()
    const gates = [new Deferred(), new Deferred()]
    let calls = 0
    const check = vi.fn(() => {
      calls += 1
      return gates[calls - 1]?.promise
    })
    await kit.init('db', { check })
    const { manager } = kit
    const checks = [manager.checkResourceHealth('db'), manager.checkResourceHealth('db')]
    const all = manager.checkAllResourcesHealth()
    await vi.advanceTimersByTimeAsync(20)
    gates[0]?.resolve()
    const [first, second] = await Promise.all(checks)
    expect(first).toMatchObject({ status: 'healthy', durationMs: 20 })
    expect(second).toBe(first)
    expect(await all).toEqual([first])
    expect(check).toHaveBeenCalledTimes(1)
    gates[1]?.resolve()
    await manager.checkResourceHealth('db')
    expect(check).toHaveBeenCalledTimes(2)
  })

  it('that hangs is bad at its timeout, and does not run again while it hangs', async () => {
    const kit = new ResourceKit({ healthTimeoutMs: 100 })
    const gate = new Deferred()
    const check = vi.fn((_context: { signal: AbortSignal }) => gate.promise)
    await kit.init('db', { check })
    const first = follow(kit.manager.checkResourceHealth('db'))
    await vi.advanceTimersByTimeAsync(60)
    const second = follow(kit.manager.checkResourceHealth('db'))
    await vi.advanceTimersByTimeAsync(40)
    for (const { value } of [first, second]) {
      expect(value).toMatchObject({
        status: 'unhealthy',
        error: 'its health check has not returned for 100 ms',
        durationMs: 100,
      })
    }
    expect(check.mock.calls[0]?.[0].signal.aborted).toBe(true)
    await vi.advanceTimersByTimeAsync(900)
    expect(await kit.manager.checkResourceHealth('db')).toMatchObject({
      error: 'its health check has not returned for 1000 ms',
      checkedAt: 1_001_000,
    })
    expect(check).toHaveBeenCalledTimes(1)
    gate.resolve()
    await turn()
    expect(await kit.manager.checkResourceHealth('db')).toMatchObject({ status: 'healthy' })
    expect(check).toHaveBeenCalledTimes(2)
  })

  it('that hangs does not affect the resource that replaces its own', async () => {
    const kit = new ResourceKit({ healthTimeoutMs: 100 })
    await kit.init('db', { check: () => new Deferred().promise })
    const hanging = follow(kit.manager.checkResourceHealth('db'))
    await vi.advanceTimersByTimeAsync(100)
    expect(hanging.value?.status).toBe('unhealthy')
    await kit.manager.cleanupResource('db')
    await kit.init('db')
    expect(await kit.manager.checkResourceHealth('db')).toMatchObject({ status: 'healthy' })
  })

  it('leaves no timer behind', async () => {
    const kit = new ResourceKit()
    await kit.init('db', { check: () => true })
    await kit.manager.checkResourceHealth('db')
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('the list of resources', () => {
  it('reports name, type, state, dependencies, and the time and cause of the last transition', async () => {
    const kit = new ResourceKit()
    await kit.init('db')
    await vi.advanceTimersByTimeAsync(500)
    follow(kit.init('app', { init: () => Promise.reject(new Error('no')) }, { dependsOn: ['db'] }))
    await turn()
    expect(kit.manager.listResources()).toEqual([
      { name: 'db', type: 'thing', state: 'running', dependsOn: [], since: 1_000_000, cause: undefined },
      {
        name: 'app',
        type: 'thing',
        state: 'error',
        dependsOn: ['db'],
        since: 1_000_500,
        cause: expect.objectContaining({ code: 'ERR_RESOURCE_INIT' }),
      },
    ])
  })
})
