import { describe, expect, it } from 'vitest'
import { ask, codeOf, gated, loadGated, yOf } from '../../support/runtime-harness.js'
import {
  advance,
  gate,
  machine,
  runtime,
  start,
  useSimulatedRuntime,
} from '../../support/simulated-runtime.js'

useSimulatedRuntime()

const input = { x: 0, do: '' }

describe('a handle', () => {
  it('has the name, version, state and signature of its version, and predicts with it', async () => {
    await start()
    const active = await loadGated(runtime, '1', { offset: 1 })
    expect(active).toMatchObject({ name: 'gated', version: '1', state: 'running' })
    expect(active.signature).toEqual({
      inputs: [
        { name: 'x', type: 'float32', dims: [1] },
        { name: 'do', type: 'string', dims: [1] },
      ],
      outputs: [{ name: 'y', type: 'float32', dims: [1] }],
    })
    expect(yOf(await active.predict(input, { outputs: ['y'] }))).toBe(1)
    await loadGated(runtime, '2', { offset: 2 })
    expect(runtime.models.getModel('gated')).toMatchObject({ version: '1', state: 'running' })
    const other = runtime.models.getModel('gated', '2')
    expect(other).toMatchObject({ version: '2', state: 'ready' })
    expect(yOf((await other?.predict(input)) ?? {})).toBe(2)
  })

  it('stays with its version through a swap', async () => {
    await start({ standbyMs: 3_600_000 })
    const first = await loadGated(runtime, '1', { offset: 1 })
    await runtime.models.hotSwapModel({ ...gated({ offset: 2 }), newVersion: '2' })
    expect(first).toMatchObject({ version: '1', state: 'ready' })
    expect(yOf(await first.predict(input))).toBe(1)
    expect(runtime.models.getModel('gated')?.version).toBe('2')
  })

  it('is stopped and predicts no more when its version has been unloaded', async () => {
    await start()
    const handle = await loadGated(runtime, '1')
    await runtime.models.unloadModel('gated')
    expect(handle.state).toBe('stopped')
    expect(await codeOf(handle.predict(input))).toBe('ERR_MODEL_NOT_FOUND')
  })

  it('is undefined for a model or a version that is not known', async () => {
    await start()
    await loadGated(runtime, '1')
    expect(runtime.models.getModel('nobody')).toBeUndefined()
    expect(runtime.models.getModel('gated', '9')).toBeUndefined()
  })

  it('never predicts with another version that the options of predict name', async () => {
    await start()
    const handle = await loadGated(runtime, '1', { offset: 1 })
    await loadGated(runtime, '2', { offset: 2 })
    const outputs = handle.predict(input, { version: '2' } as never)
    expect(await outputs.then(yOf, (error) => error.code)).not.toBe(2)
  })
})

describe('replicas()', () => {
  it('waits no longer than controlTimeoutMs for a replica that is busy', async () => {
    await start({ controlTimeoutMs: 10 })
    const held = gate()
    const handle = await loadGated(runtime, '1', { gate: held })
    const running = ask(runtime, 1, 'hold')
    await held.arrival('run')
    const reports = handle.replicas()
    await advance(10)
    expect(await reports).toEqual([
      { threadId: expect.any(Number), description: undefined, stats: undefined },
    ])
    held.open('run')
    await running
  })

  it('resolves with nothing for a cold version', async () => {
    await start()
    const handle = await loadGated(runtime, '1')
    await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
    expect(await handle.replicas()).toEqual([])
  })
})

describe('stats()', () => {
  it('counts requests, errors and latencies, and those that run and wait', async () => {
    await start()
    const held = gate()
    const handle = await loadGated(runtime, '1', { gate: held })
    expect(handle.stats()).toMatchObject({
      requests: 0,
      errors: 0,
      inFlight: 0,
      queued: 0,
      lastUsedAt: undefined,
      latency: { count: 0, meanMs: 0 },
      pool: { replicas: 1, idle: 1 },
    })
    const requests = [ask(runtime, 1, 'hold'), ask(runtime, 2), ask(runtime, 3, 'throw').catch(() => 0)]
    await held.arrival('run')
    expect(handle.stats()).toMatchObject({
      requests: 3,
      inFlight: 1,
      queued: 2,
      pool: { busy: 1, queued: 2 },
    })
    await advance(5)
    held.open('run')
    await Promise.all(requests)
    expect(handle.stats()).toMatchObject({
      requests: 3,
      errors: 1,
      inFlight: 0,
      queued: 0,
      pool: { idle: 1, busy: 0 },
      latency: { count: 2 },
    })
    // Both requests that were answered took the 5 ms, which the histogram keeps with three digits.
    expect(handle.stats().latency.p99Ms).toBeCloseTo(5, 1)
    expect(handle.stats().lastUsedAt).toBe(machine.clock.epoch())
  })

  it('counts on after an eviction', async () => {
    await start()
    const handle = await loadGated(runtime, '1')
    await ask(runtime, 1)
    await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
    expect(handle.stats()).toMatchObject({ requests: 1, pool: undefined })
    await ask(runtime, 1)
    expect(handle.stats()).toMatchObject({ requests: 2, errors: 0 })
  })

  it('counts a request as queued while its version is being loaded', async () => {
    await start()
    const held = gate()
    held.open('load')
    const handle = await loadGated(runtime, '1', { gate: held, hold: ['load'] })
    await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
    const waiting = [ask(runtime, 1), ask(runtime, 2)]
    await held.arrival('load', 2)
    expect(handle.stats()).toMatchObject({ queued: 2, inFlight: 0, pool: { starting: 1 } })
    held.open('load')
    await Promise.all(waiting)
    expect(handle.stats()).toMatchObject({ queued: 0, inFlight: 0 })
  })

  it('of the runtime lists its models, and can be written as JSON', async () => {
    await start()
    await loadGated(runtime, '1')
    await loadGated(runtime, '2')
    await advance(7)
    const stats = runtime.stats()
    expect(stats).toMatchObject({ state: 'running', uptimeMs: 7 })
    expect(
      stats.models.map(({ version, state, isActive, modelType }) => [version, state, isActive, modelType]),
    ).toEqual([
      ['1', 'running', true, 'gated'],
      ['2', 'ready', false, 'gated'],
    ])
    expect(() => JSON.stringify(stats)).not.toThrow()
  })
})
