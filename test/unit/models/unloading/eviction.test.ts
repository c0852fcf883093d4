import { describe, expect, it } from 'vitest'
import { ask, codeOf, loadGated, movesOf, settle, stateOf } from '../../../support/runtime-harness.js'
import {
  advance,
  gate,
  machine,
  runtime,
  start,
  useSimulatedRuntime,
} from '../../../support/simulated-runtime.js'

useSimulatedRuntime()

const loads = (moves: readonly string[]): number =>
  moves.filter((move) => move.includes('>initializing')).length

const numbers = (count: number): number[] => Array.from({ length: count }, (_, x) => x)

const evictAll = () => runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })

describe('cleanupUnusedModels', () => {
  it('ends the replicas of an unused version, which stays known, active and cold', async () => {
    await start()
    await loadGated(runtime, '1')
    expect(await evictAll()).toEqual([
      {
        name: 'gated',
        versions: ['1'],
        bytesReturned: machine.replicaBytes,
        durationMs: expect.any(Number),
        rejected: 0,
        stuck: [],
      },
    ])
    const [info] = runtime.models.listModels()
    expect(info).toMatchObject({ name: 'gated', version: '1', state: 'stopped', isActive: true })
    expect(info?.stats.pool).toBeUndefined()
    expect(info?.signature?.inputs).toHaveLength(2)
    expect(runtime.models.getModel('gated')?.version).toBe('1')
    expect(await evictAll()).toEqual([])
  })

  it('is followed by one load, however many requests arrive at once', async () => {
    await start()
    await loadGated(runtime, '1', { offset: 1 })
    await evictAll()
    const moves = movesOf(runtime)
    const outputs = await Promise.all(numbers(100).map((x) => ask(runtime, x)))
    expect(outputs).toEqual(numbers(100).map((x) => x + 1))
    expect(moves).toEqual([
      'gated@1 stopped>initializing',
      'gated@1 initializing>ready',
      'gated@1 ready>starting',
      'gated@1 starting>running',
    ])
  })

  it('evicts the same version again and again while requests arrive', async () => {
    await start()
    await loadGated(runtime, '1', { offset: 1 })
    const moves = movesOf(runtime)
    let evictions = 0
    for (let round = 0; round < 5; round += 1) {
      const outputs = Promise.all(numbers(20).map((x) => ask(runtime, x)))
      await evictAll()
      expect(await outputs).toEqual(numbers(20).map((x) => x + 1))
      evictions += (await evictAll()).length
    }
    expect(evictions).toBe(5)
    expect(loads(moves)).toBe(4)
  })

  it('keeps a version that was used within `maxAgeMs`, and evicts it after that', async () => {
    await start()
    await loadGated(runtime, '1')
    await ask(runtime, 1)
    await advance(999)
    expect(await runtime.models.cleanupUnusedModels({ maxAgeMs: 1_000 })).toEqual([])
    expect(stateOf(runtime, 'gated', '1')).toBe('running')
    await advance(1)
    expect(await runtime.models.cleanupUnusedModels({ maxAgeMs: 1_000 })).toHaveLength(1)
  })

  it('keeps a version with a request that runs or waits', async () => {
    await start()
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const running = ask(runtime, 1, 'hold')
    const waiting = ask(runtime, 2)
    await held.arrival('run')
    expect(await evictAll()).toEqual([])
    held.open('run')
    expect(await Promise.all([running, waiting])).toEqual([1, 2])
    expect(await evictAll()).toHaveLength(1)
  })

  it('evicts a version whose only requests came with an aborted signal', async () => {
    await start()
    await loadGated(runtime, '1')
    const refused = ask(runtime, 1, '', { signal: AbortSignal.abort() })
    expect(await codeOf(refused)).toBe('ERR_ABORTED')
    expect(runtime.models.getModel('gated')?.stats()).toMatchObject({ queued: 0, inFlight: 0 })
    expect(await evictAll()).toHaveLength(1)
  })

  it('evicts versions that are not active too', async () => {
    await start()
    await loadGated(runtime, '1', { offset: 1 })
    await loadGated(runtime, '2', { offset: 5 })
    await evictAll()
    expect([stateOf(runtime, 'gated', '1'), stateOf(runtime, 'gated', '2')]).toEqual(['stopped', 'stopped'])
    expect(await ask(runtime, 0)).toBe(1)
    expect(await ask(runtime, 0, '', { version: '2' })).toBe(5)
  })

  it('goes on when a model is unloaded meanwhile', async () => {
    await start()
    const slow = gate()
    await loadGated(runtime, '1', { name: 'slow', gate: slow, hold: ['release'] })
    await loadGated(runtime, '1', { name: 'gone' })
    const cleaning = evictAll()
    // The first model is being evicted; the second one, next in line, is forgotten.
    await slow.arrival('release')
    await runtime.models.unloadModel('gone')
    await settle()
    slow.open('release')
    expect((await cleaning).map((report) => report.name)).toEqual(['slow'])
    expect(await ask(runtime, 1, '', {}, 'slow')).toBe(1)
  })

  it('keeps a version that gets a request while the eviction waits for another change of the model', async () => {
    await start()
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const loading = loadGated(runtime, '2', { gate: held, hold: ['load'] })
    await held.arrival('load')
    const cleaning = evictAll()
    await settle()
    const running = ask(runtime, 1, 'hold')
    await held.arrival('run')
    held.open('load')
    expect(await cleaning).toEqual([])
    await loading
    expect(stateOf(runtime, 'gated', '1')).toBe('running')
    held.open('run')
    expect(await running).toBe(1)
  })

  it('lets a request be answered that arrives in the middle of the eviction', async () => {
    await start()
    const held = gate()
    await loadGated(runtime, '1', { gate: held, hold: ['release'] })
    const cleaning = evictAll()
    await held.arrival('release')
    expect(stateOf(runtime, 'gated', '1')).toBe('stopping')
    const late = [ask(runtime, 1), ask(runtime, 2)]
    held.openForGood()
    expect(await Promise.all(late)).toEqual([1, 2])
    expect(await cleaning).toHaveLength(1)
    expect(stateOf(runtime, 'gated', '1')).toBe('running')
  })

  it('keeps a version that is pinned', async () => {
    await start()
    const handle = await loadGated(runtime, '1', {}, { pinned: true })
    expect(await evictAll()).toEqual([])
    expect(handle.state).toBe('running')
  })

  it('keeps `minReplicas` of a version, and the next request brings the others back', async () => {
    await start()
    const handle = await loadGated(runtime, '1', {}, { replicas: 3, minReplicas: 1 })
    expect(await evictAll()).toEqual([])
    await advance(0)
    expect(handle.stats().pool?.replicas).toBe(1)
    expect(handle.state).toBe('running')
    expect(await ask(runtime, 1)).toBe(1)
    await advance(0)
    expect(handle.stats().pool?.replicas).toBe(3)
    await evictAll()
    await handle.resize(2)
    await ask(runtime, 1)
    expect(handle.stats().pool?.replicas).toBe(2)
  })
})

describe('an idle version', () => {
  const everyMs = { modelCleanupIntervalMs: 5 }

  it('is evicted by itself and comes back with the next request', async () => {
    await start({ ...everyMs, modelIdleMs: 20 })
    await loadGated(runtime, '1')
    await advance(25)
    expect(stateOf(runtime, 'gated', '1')).toBe('stopped')
    const moves = movesOf(runtime)
    expect(await ask(runtime, 1)).toBe(1)
    expect(loads(moves)).toBe(1)
    await advance(25)
    expect(stateOf(runtime, 'gated', '1')).toBe('stopped')
  })

  it('is evicted when its own time is over, long before the next look at all versions', async () => {
    await start({ modelIdleMs: 100, modelCleanupIntervalMs: 3_600_000 })
    await loadGated(runtime, '1')
    await advance(60)
    await ask(runtime, 1)
    await advance(99)
    expect(stateOf(runtime, 'gated', '1')).toBe('running')
    await advance(1)
    expect(stateOf(runtime, 'gated', '1')).toBe('stopped')
  })

  it('is never evicted while a request runs', async () => {
    await start({ ...everyMs, modelIdleMs: 1 })
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const running = ask(runtime, 1, 'hold')
    await held.arrival('run')
    await advance(1_000)
    expect(stateOf(runtime, 'gated', '1')).toBe('running')
    held.open('run')
    expect(await running).toBe(1)
    await advance(10)
    expect(stateOf(runtime, 'gated', '1')).toBe('stopped')
  })

  it('has a limit of its own, and keeps its replicas when that is 0', async () => {
    await start({ ...everyMs, modelIdleMs: 20 })
    await loadGated(runtime, '1', { name: 'kept' }, { modelIdleMs: 0 })
    await loadGated(runtime, '1', { name: 'short' }, { modelIdleMs: 1 })
    await loadGated(runtime, '1', { name: 'usual' })
    const states = () => ['kept', 'short', 'usual'].map((name) => stateOf(runtime, name, '1'))
    await advance(10)
    expect(states()).toEqual(['running', 'stopped', 'running'])
    await advance(1_000)
    expect(states()).toEqual(['running', 'stopped', 'stopped'])
  })
})
