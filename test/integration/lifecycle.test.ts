import type { HealthReport } from 'tbcoin-engine'
import { describe, expect, it } from 'vitest'
import { gate, runtime, start } from '../support/gated-runtime.js'
import { ask, codeOf, loadGated } from '../support/runtime-harness.js'

// `test/unit/runtime.test.ts` has what needs no threads.

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

  it('is degraded while a replica is in quarantine, although another has taken its place', async () => {
    await start({ restartBackoffMs: 1 })
    const held = gate()
    await loadGated(runtime, '1', { gate: held }, { stuckAfterMs: 30 })
    expect(await codeOf(ask(runtime, 1, 'hold'))).toBe('ERR_REPLICA_STUCK')
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
    const report = await runtime.close({ timeoutMs: 400 })
    expect(await running).toBe('ERR_RUNTIME_CLOSED')
    expect(report).toMatchObject({ rejected: 1, stuck: [{ model: 'gated' }], failures: [] })
    expect(givenMs).toBeGreaterThan(0)
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
