import { describe, expect, it } from 'vitest'
import type { ModelHandle } from '../../../src/models/model-handle.js'
import {
  allServing,
  ask,
  Callers,
  codeOf,
  errorOf,
  gated,
  inState,
  loadGated,
  settle,
} from '../../support/runtime-harness.js'
import { adding } from '../../support/simulated-loaders.js'
import {
  advance,
  gate,
  machine,
  runtime,
  start,
  useSimulatedRuntime,
} from '../../support/simulated-runtime.js'
import { testLogger } from '../../support/test-logger.js'

useSimulatedRuntime()

async function threadsOf(handle: ModelHandle): Promise<(number | undefined)[]> {
  return (await handle.replicas()).map(({ threadId }) => threadId)
}

const poolOf = (handle: ModelHandle): object | undefined => handle.stats().pool

describe('a pool that is resized', () => {
  it('grows beside the replicas that serve, which are not loaded again', async () => {
    await start({ replicas: 2 })
    const held = gate()
    held.open('load', 2)
    const handle = await loadGated(runtime, '1', { gate: held, hold: ['load'] })
    const before = await threadsOf(handle)
    const resizing = handle.resize(4)
    // Replicas are added one after another, and the others serve meanwhile.
    await held.arrival('load', 3)
    expect(await ask(runtime, 1)).toBe(1)
    expect(poolOf(handle)).toMatchObject({ replicas: 3, starting: 1 })
    held.open('load', 2)
    await resizing
    const after = await threadsOf(handle)
    expect(after.slice(0, 2)).toEqual(before)
    expect(new Set(after).size).toBe(4)
    expect(held.arrived('load')).toBe(4)
    expect(poolOf(handle)).toMatchObject({ replicas: 4, idle: 4, restarts: 0 })
  })

  it('serves with all of its new replicas at once', async () => {
    await start()
    const held = gate()
    const handle = await loadGated(runtime, '1', { gate: held })
    await handle.resize(3)
    const requests = [1, 2, 3].map((x) => ask(runtime, x, 'hold'))
    await held.arrival('run', 3)
    expect(poolOf(handle)).toMatchObject({ busy: 3, inFlight: 3, queued: 0 })
    held.open('run', 3)
    expect(await Promise.all(requests)).toEqual([1, 2, 3])
  })

  it('ends idle replicas first when it shrinks, and leaves busy ones alone', async () => {
    await start({ replicas: 3 })
    const held = gate()
    const handle = await loadGated(runtime, '1', { gate: held })
    const before = await threadsOf(handle)
    const running = ask(runtime, 1, 'hold')
    await held.arrival('run')
    await handle.resize(1)
    const reported = threadsOf(handle)
    // The busy thread does not describe itself in time.
    await advance(5_000)
    const [left, ...others] = await reported
    expect(others).toEqual([])
    expect(before).toContain(left)
    expect(poolOf(handle)).toMatchObject({ replicas: 1, busy: 1 })
    held.open('run')
    expect(await running).toBe(1)
    expect(await ask(runtime, 2)).toBe(2)
    expect(poolOf(handle)).toMatchObject({ quarantined: 0, restarts: 0 })
  })

  it('lets a busy replica finish its run before its end', async () => {
    await start({ replicas: 2 })
    const held = gate()
    const handle = await loadGated(runtime, '1', { gate: held })
    const requests = [ask(runtime, 1, 'hold'), ask(runtime, 2, 'hold')]
    await held.arrival('run', 2)
    let isOver = false
    const resizing = handle.resize(1).then(() => {
      isOver = true
    })
    const waiting = ask(runtime, 3)
    await settle()
    expect(isOver).toBe(false)
    expect(poolOf(handle)).toMatchObject({ replicas: 2, busy: 2, queued: 1 })
    held.open('run', 2)
    expect(await Promise.all(requests)).toEqual([1, 2])
    await resizing
    expect(await waiting).toBe(3)
    expect(poolOf(handle)).toMatchObject({ replicas: 1, quarantined: 0, restarts: 0 })
  })

  it('releases the sessions of replicas that it ends', async () => {
    await start({ replicas: 3 })
    const held = gate()
    held.open('release', 2)
    const handle = await loadGated(runtime, '1', { gate: held, hold: ['release'] })
    await handle.resize(1)
    expect(held.arrived('release')).toBe(2)
  })

  it('loses no request while it grows and shrinks under load', async () => {
    machine.write('/m.onnx', adding(5))
    await start({ replicas: 2, models: [{ name: 'm', version: '1', source: '/m.onnx' }] })
    const handle = runtime.models.getModel('m') as ModelHandle
    const exits: unknown[] = []
    runtime.on('replicaExited', (exit) => exits.push(exit))
    const callers = new Callers(runtime, 'm', { '1': 5 })
    callers.start(8)
    for (const replicas of [4, 1, 3, 2, 1, 4]) {
      await callers.more(50)
      await handle.resize(replicas)
      expect(poolOf(handle)).toMatchObject({ replicas, quarantined: 0 })
    }
    // Once more without waiting in between.
    await Promise.all([1, 3, 2].map((replicas) => handle.resize(replicas)))
    await callers.more(50)
    await callers.finish()
    expect(callers.rejected.size).toBe(0)
    expect(exits).toEqual([])
    expect(poolOf(handle)).toMatchObject({ replicas: 2, idle: 2, restarts: 0 })
  })

  it('keeps its replicas and rejects with the reason when a new one cannot be loaded', async () => {
    await start({ loadTimeoutMs: 1_000 })
    const held = gate()
    held.open('load')
    const handle = await loadGated(runtime, '1', { gate: held, hold: ['load'] })
    const [thread] = await threadsOf(handle)
    const resizing = errorOf(handle.resize(3))
    await held.arrival('load', 2)
    // The load times out, and then the wait for the end of its thread.
    await advance(2_000)
    const error = await resizing
    expect(error).toMatchObject({ code: 'ERR_MODEL_LOAD', model: 'gated', version: '1' })
    held.openForGood()
    expect(await threadsOf(handle)).toEqual([thread])
    expect(await ask(runtime, 1)).toBe(1)
    expect((await runtime.health()).checks.replicas?.reason ?? '').not.toContain('of 3')
    await handle.resize(2)
    expect(poolOf(handle)).toMatchObject({ replicas: 2, idle: 2 })
  })

  it('is logged only if the number of replicas changes', async () => {
    const lines: unknown[] = []
    const logger = testLogger(({ message, fields }) => {
      if (message === 'pool resized') lines.push(fields)
    })
    await start({ logger })
    const handle = await loadGated(runtime, '1')
    await handle.resize(2)
    const before = await threadsOf(handle)
    await handle.resize(2)
    expect(await threadsOf(handle)).toEqual(before)
    expect(lines).toEqual([expect.objectContaining({ model: 'gated', version: '1', from: 1, to: 2 })])
  })

  it('starts no replacement of a dead replica beyond its new number', async () => {
    await start({ replicas: 2, restartBackoffMs: 300, maxRestartBackoffMs: 300 })
    const handle = await loadGated(runtime, '1')
    await codeOf(ask(runtime, 1, 'exit'))
    expect(poolOf(handle)).toMatchObject({ replicas: 1 })
    await handle.resize(1)
    await advance(500)
    expect(poolOf(handle)).toMatchObject({ replicas: 1, idle: 1, restarts: 0 })
    expect((await runtime.health()).checks.replicas?.status).toBe('healthy')
    await handle.resize(2)
    expect(poolOf(handle)).toMatchObject({ replicas: 2, idle: 2 })
  })

  it('can be unloaded while a replica that it ends still runs', async () => {
    await start({ replicas: 2 })
    const held = gate()
    const handle = await loadGated(runtime, '1', { gate: held }, { drainTimeoutMs: 20 })
    const requests = [codeOf(ask(runtime, 1, 'hold')), codeOf(ask(runtime, 2, 'hold'))]
    await held.arrival('run', 2)
    const resizing = codeOf(handle.resize(1))
    const unloading = runtime.models.unloadModel('gated')
    await advance(20)
    await advance(1_000)
    expect(await unloading).toMatchObject({ rejected: 2 })
    expect(await Promise.all(requests)).toEqual(['ERR_DRAIN_TIMEOUT', 'ERR_DRAIN_TIMEOUT'])
    expect(await resizing).toBe('ERR_MODEL_UNAVAILABLE')
    expect(await codeOf(handle.resize(2))).toBe('ERR_MODEL_NOT_FOUND')
  })
})

describe('a resize while the runtime closes', () => {
  it('rejects if it adds replicas, and no thread is left', async () => {
    await start()
    const held = gate()
    held.open('load')
    const handle = await loadGated(runtime, '1', { gate: held, hold: ['load'] })
    const resizing = codeOf(handle.resize(3))
    await held.arrival('load', 2)
    const closing = runtime.close()
    held.openForGood()
    expect(await resizing).toBe('ERR_RUNTIME_CLOSED')
    expect(await closing).toMatchObject({ rejected: 0, stuck: [], failures: [] })
    expect(held.arrived('load')).toBe(2)
    expect(await codeOf(handle.resize(2))).toBe('ERR_RUNTIME_CLOSED')
  })

  it('settles if it ends replicas, and the last runs complete', async () => {
    await start({ replicas: 2 })
    const held = gate()
    const handle = await loadGated(runtime, '1', { gate: held })
    const requests = [ask(runtime, 1, 'hold'), ask(runtime, 2, 'hold')]
    await held.arrival('run', 2)
    const resizing = handle.resize(1).then(
      () => 'done',
      ({ code }) => code,
    )
    await settle()
    const closing = runtime.close()
    held.open('run', 2)
    expect(await Promise.all(requests)).toEqual([1, 2])
    expect(await closing).toMatchObject({ rejected: 0, stuck: [] })
    // The replica may be gone before the pool is stopped.
    expect(['done', 'ERR_RUNTIME_CLOSED']).toContain(await resizing)
  })
})

describe('the number of replicas', () => {
  it('applies to the next pool of a version that is cold', async () => {
    await start()
    const handle = await loadGated(runtime, '1')
    await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
    await handle.resize(3)
    expect(poolOf(handle)).toBeUndefined()
    expect(await ask(runtime, 1)).toBe(1)
    await allServing(handle)
    expect(poolOf(handle)).toMatchObject({ replicas: 3 })
  })

  it('is kept while the version is evicted and loaded again', async () => {
    await start()
    const handle = await loadGated(runtime, '1')
    await handle.resize(2)
    await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
    expect(await ask(runtime, 1)).toBe(1)
    await allServing(handle)
    expect(poolOf(handle)).toMatchObject({ replicas: 2 })
  })

  it('is inherited by a version that replaces it from a source', async () => {
    await start()
    const handle = await loadGated(runtime, '1')
    await handle.resize(2)
    await runtime.models.hotSwapModel({ ...gated(), newVersion: '2' })
    expect(runtime.models.getModel('gated')?.stats().pool).toMatchObject({ replicas: 2 })
  })

  it('can follow the number of cores again', async () => {
    machine.cores = 1
    await start({ replicas: 'auto' })
    const handle = await loadGated(runtime, '1')
    expect(poolOf(handle)).toMatchObject({ replicas: 1 })
    await handle.resize(2)
    await handle.resize('auto')
    expect(poolOf(handle)).toMatchObject({ replicas: 1 })
  })

  it('cannot be changed while the version is in error', async () => {
    await start({ crashBudget: 0 })
    const handle = await loadGated(runtime, '1')
    await codeOf(ask(runtime, 1, 'exit'))
    await inState(runtime, 'gated', '1', 'error')
    expect(await errorOf(handle.resize(2))).toMatchObject({
      code: 'ERR_MODEL_UNAVAILABLE',
      message: expect.stringContaining('keep dying'),
    })
  })

  it.each([0, -1, 1.5, Number.NaN, 'many', 2000, undefined, null])('cannot be %s', async (replicas) => {
    await start()
    const handle = await loadGated(runtime, '1')
    const error = await errorOf(handle.resize(replicas as number))
    expect(error.code).toBe('ERR_INVALID_OPTIONS')
    expect(error.message).toMatch(/^resize: the value is /)
    expect(poolOf(handle)).toMatchObject({ replicas: 1 })
  })
})
