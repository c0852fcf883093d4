import { describe, expect, it } from 'vitest'
import type { HealthReport } from '../../src/lifecycle/health/health-monitor.js'
import { ask, codeOf, inState, loadGated, movesOf } from '../support/runtime-harness.js'
import { advance, gate, runtime, start, useSimulatedRuntime } from '../support/simulated-runtime.js'

useSimulatedRuntime()

/** Returns the reasons of the checks that fail, by check. */
function failuresOf({ checks }: HealthReport): Record<string, string | undefined> {
  const failing = Object.entries(checks).filter(([, { status }]) => status === 'unhealthy')
  return Object.fromEntries(failing.map(([name, { reason }]) => [name, reason]))
}

describe('the health of a runtime', () => {
  it('is healthy, with checks of models, replicas, resources, memory and event loop', async () => {
    await start({ replicas: 2 })
    await loadGated(runtime, '1')
    const report = await runtime.health()
    expect(report).toMatchObject({ status: 'healthy', isLive: true, isReady: true, state: 'running' })
    expect(Object.keys(report.checks)).toEqual(['models', 'replicas', 'resources', 'memory', 'event-loop'])
    expect(report.checks.replicas?.detail).toMatchObject({
      pools: [{ model: 'gated', version: '1', replicas: 2, idle: 2, quarantined: 0 }],
    })
    expect(report.checks.memory?.detail).toMatchObject({ residentBytes: expect.any(Number) })
  })

  it('is healthy while the active version is cold', async () => {
    await start()
    await loadGated(runtime, '1')
    await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
    expect(await runtime.health()).toMatchObject({ status: 'healthy', isReady: true })
  })

  it('is degraded while a replica is in quarantine, although another has taken its place', async () => {
    await start({ restartBackoffMs: 1 })
    const held = gate()
    await loadGated(runtime, '1', { gate: held }, { stuckAfterMs: 30 })
    const stuck = codeOf(ask(runtime, 1, 'hold'))
    await held.arrival('run')
    await advance(60)
    expect(await stuck).toBe('ERR_REPLICA_STUCK')
    expect(await ask(runtime, 2)).toBe(2)
    const report = await runtime.health()
    expect(report).toMatchObject({ status: 'degraded', isReady: true })
    expect(failuresOf(report)).toEqual({ replicas: 'gated@1 has 1 in quarantine' })
    expect(report.checks.replicas?.lastError?.reason).toBe('gated@1 has 1 in quarantine')
  })

  it('is degraded while a replica of an active version is missing, and unhealthy while all are', async () => {
    await start({ replicas: 2, restartBackoffMs: 60_000, maxRestartBackoffMs: 60_000 })
    await loadGated(runtime, '1')
    await codeOf(ask(runtime, 1, 'exit'))
    expect(await runtime.health()).toMatchObject({ status: 'degraded', isReady: true })
    await codeOf(ask(runtime, 1, 'exit'))
    const report = await runtime.health()
    expect(report).toMatchObject({ status: 'unhealthy', isReady: false, isLive: true })
    expect(failuresOf(report)).toEqual({
      models: 'gated@1 has no replica left',
      replicas: 'gated@1 has 0 of 2',
    })
  })

  it('is unhealthy when the replicas of an active version keep dying', async () => {
    await start({ crashBudget: 0 })
    await loadGated(runtime, '1')
    await codeOf(ask(runtime, 1, 'exit'))
    await inState(runtime, 'gated', '1', 'error')
    const report = await runtime.health()
    expect(report).toMatchObject({ status: 'unhealthy', isReady: false })
    expect(failuresOf(report).models).toMatch(/^gated@1 is in error: replicas of gated@1 keep dying/)
  })

  it('is unhealthy while a resource is unhealthy', async () => {
    await start()
    let isUp = true
    runtime.resources.registerResourceType(
      'database',
      () => ({}),
      undefined,
      () => isUp,
    )
    await runtime.resources.initializeResource({ name: 'main', resourceType: 'database' })
    expect(await runtime.health()).toMatchObject({ status: 'healthy' })
    isUp = false
    const report = await runtime.health()
    expect(report).toMatchObject({ status: 'unhealthy', isReady: false, isLive: true })
    expect(failuresOf(report)).toEqual({ resources: 'main: its health check failed: it returned false' })
  })

  it('includes the checks of the application', async () => {
    await start()
    runtime.lifecycle.addHealthCheck('queue', () => ({ status: 'unhealthy', reason: 'it is full' }))
    expect(failuresOf(await runtime.health())).toEqual({ queue: 'it is full' })
  })

  it('is not ready once the runtime is closing', async () => {
    await start()
    const closing = runtime.close()
    expect(await runtime.health()).toMatchObject({ isReady: false, state: 'stopping' })
    await closing
    expect(await runtime.health()).toMatchObject({ isReady: false, isLive: true, state: 'stopped' })
  })
})

describe('shutdown handlers of an application', () => {
  it('run at a close in their phases: before admission ends, and after the last request completes', async () => {
    await start()
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const steps: string[] = []
    const running = ask(runtime, 1, 'hold').then(() => steps.push('request'))
    await held.arrival('run')
    const { lifecycle } = runtime
    lifecycle.addShutdownHandler(
      async () => {
        steps.push('readiness')
        steps.push(`still admitted: ${await codeOf(runtime.predict('unknown', {}))}`)
        held.open('run')
      },
      { phase: 'readiness' },
    )
    lifecycle.addShutdownHandler(async () => {
      steps.push(`resources: ${await codeOf(ask(runtime, 1))}`)
    })
    await runtime.close()
    await running
    expect(steps).toEqual([
      'readiness',
      'still admitted: ERR_MODEL_NOT_FOUND',
      'request',
      'resources: ERR_RUNTIME_CLOSED',
    ])
  })

  it('appear in the report of close if they fail, and reject `shutdown`', async () => {
    await start()
    runtime.lifecycle.addShutdownHandler(() => Promise.reject(new Error('cannot')), { name: 'cache' })
    const { failures } = await runtime.close()
    expect(failures).toMatchObject([
      { code: 'ERR_SHUTDOWN', message: 'shutdown handler "cache" failed: cannot' },
    ])
    expect(runtime.state).toBe('error')
    expect(await codeOf(runtime.lifecycle.shutdown())).toBe('ERR_SHUTDOWN')
  })

  it('keep their share of the time although requests do not complete', async () => {
    await start()
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const running = codeOf(ask(runtime, 1, 'hold'))
    await held.arrival('run')
    let givenMs = 0
    runtime.lifecycle.addShutdownHandler(({ timeoutMs }) => {
      givenMs = timeoutMs ?? 0
    })
    const closing = runtime.close({ timeoutMs: 400 })
    await advance(400)
    await advance(1_000)
    const report = await closing
    expect(await running).toBe('ERR_RUNTIME_CLOSED')
    expect(report).toMatchObject({ rejected: 1, stuck: [{ model: 'gated' }], failures: [] })
    expect(givenMs).toBeGreaterThan(0)
  })
})

describe('resources of a runtime', () => {
  it('are cleaned up at a close in reverse order after the last request, and none can be added later', async () => {
    await start()
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const steps: string[] = []
    const { resources } = runtime
    resources.registerResourceType(
      'database',
      () => ({}),
      (_, { name }) => void steps.push(name),
    )
    await resources.initializeResource({ name: 'first', resourceType: 'database' })
    await resources.initializeResource({ name: 'second', resourceType: 'database', dependsOn: ['first'] })
    const moves = movesOf(runtime)
    const running = ask(runtime, 1, 'hold').then(() => steps.push('request'))
    await held.arrival('run')
    runtime.lifecycle.addShutdownHandler(() => held.open('run'), { phase: 'readiness' })
    await runtime.close()
    await running
    expect(steps).toEqual(['request', 'second', 'first'])
    expect(moves).toContain('resource first stopping>stopped')
    expect(await codeOf(resources.initializeResource({ name: 'third', resourceType: 'database' }))).toBe(
      'ERR_RUNTIME_CLOSED',
    )
  })

  it('appear in the report of close if their cleaner fails', async () => {
    await start()
    const { resources } = runtime
    resources.registerResourceType(
      'database',
      () => ({}),
      () => Promise.reject(new Error('cannot')),
    )
    await resources.initializeResource({ name: 'main', resourceType: 'database' })
    const { failures } = await runtime.close()
    expect(failures).toHaveLength(1)
    expect(failures[0]?.message).toMatch(/^shutdown handler "resources" failed: .*main.*cannot/)
  })
})

describe('lifecycle.shutdown', () => {
  it('closes the runtime with its reason as the trigger', async () => {
    await start()
    await loadGated(runtime, '1')
    const triggers: string[] = []
    runtime.on('transition', ({ component, to, trigger }) => triggers.push(`${component} ${to} (${trigger})`))
    const closed = new Promise((resolve) => runtime.once('closed', resolve))
    await runtime.lifecycle.shutdown('maintenance')
    expect(triggers[0]).toBe('application tbcoin-engine stopping (maintenance)')
    expect(triggers.at(-1)).toBe('application tbcoin-engine stopped (maintenance)')
    expect(await closed).toMatchObject({ rejected: 0, stuck: [] })
    expect(await runtime.close()).toBe(await closed)
  })
})
