import { setTimeout as delay } from 'node:timers/promises'
import type { ModelHandle } from 'tbcoin-engine'
import { describe, expect, it } from 'vitest'
import { constantAnswer } from '../../models/synthetic/graphs.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { gate, runtime, start } from '../support/gated-runtime.js'
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
} from '../support/runtime-harness.js'
import { testLogger } from '../support/test-logger.js'

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
    // One after another, and the others answer meanwhile.
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
    const asked = [1, 2, 3].map((x) => ask(runtime, x, 'hold'))
    await held.arrival('run', 3)
    expect(poolOf(handle)).toMatchObject({ busy: 3, inFlight: 3, queued: 0 })
    held.open('run', 3)
    expect(await Promise.all(asked)).toEqual([1, 2, 3])
  })

  it('shrinks with idle replicas first, and the rest stays as it is', async () => {
    await start({ replicas: 3 })
    const held = gate()
    const handle = await loadGated(runtime, '1', { gate: held })
    const before = await threadsOf(handle)
    const running = ask(runtime, 1, 'hold')
    await held.arrival('run')
    await handle.resize(1)
    const [left, ...others] = await threadsOf(handle)
    expect(others).toEqual([])
    expect(before).toContain(left)
    expect(poolOf(handle)).toMatchObject({ replicas: 1, busy: 1 })
    held.open('run')
    expect(await running).toBe(1)
    expect(await ask(runtime, 2)).toBe(2)
    expect(poolOf(handle)).toMatchObject({ quarantined: 0, restarts: 0 })
  })

  it('lets a busy replica finish its run before it goes', async () => {
    await start({ replicas: 2 })
    const held = gate()
    const handle = await loadGated(runtime, '1', { gate: held })
    const asked = [ask(runtime, 1, 'hold'), ask(runtime, 2, 'hold')]
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
    expect(await Promise.all(asked)).toEqual([1, 2])
    await resizing
    expect(await waiting).toBe(3)
    expect(poolOf(handle)).toMatchObject({ replicas: 1, quarantined: 0, restarts: 0 })
  })

  it('releases the sessions of those that go', async () => {
    await start({ replicas: 3 })
    const held = gate()
    held.open('release', 2)
    const handle = await loadGated(runtime, '1', { gate: held, hold: ['release'] })
    await handle.resize(1)
    expect(held.arrived('release')).toBe(2)
  })

  it('loses no request while it grows and shrinks under load', async () => {
    await using repository = tempRepository({ m: { '1': constantAnswer(5) } })
    await start({ replicas: 2, modelDir: repository.dir })
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
    // And without waiting in between.
    await Promise.all([1, 3, 2].map((replicas) => handle.resize(replicas)))
    await callers.more(50)
    await callers.finish()
    expect(callers.rejected.size).toBe(0)
    expect(exits).toEqual([])
    expect(poolOf(handle)).toMatchObject({ replicas: 2, idle: 2, restarts: 0 })
  })

  it('keeps its replicas when a new one cannot be loaded, and rejects with the reason', async () => {
    await start({ loadTimeoutMs: 1_000 })
    const held = gate()
    held.open('load')
    const handle = await loadGated(runtime, '1', { gate: held, hold: ['load'] })
    const [thread] = await threadsOf(handle)
    const error = await errorOf(handle.resize(3))
    expect(error).toMatchObject({ code: 'ERR_MODEL_LOAD', model: 'gated', version: '1' })
    held.openForGood()
    expect(await threadsOf(handle)).toEqual([thread])
    expect(await ask(runtime, 1)).toBe(1)
    expect((await runtime.health()).checks.replicas?.reason ?? '').not.toContain('of 3')
    await handle.resize(2)
    expect(poolOf(handle)).toMatchObject({ replicas: 2, idle: 2 })
  })

  it('is told in the log, unless it stays as it is', async () => {
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

  it('while a replica waits for its replacement has no more than it was told', async () => {
    await start({ replicas: 2, restartBackoffMs: 300, maxRestartBackoffMs: 300 })
    const handle = await loadGated(runtime, '1')
    await codeOf(ask(runtime, 1, 'exit'))
    expect(poolOf(handle)).toMatchObject({ replicas: 1 })
    await handle.resize(1)
    await delay(500)
    expect(poolOf(handle)).toMatchObject({ replicas: 1, idle: 1, restarts: 0 })
    expect((await runtime.health()).checks.replicas?.status).toBe('healthy')
    await handle.resize(2)
    expect(poolOf(handle)).toMatchObject({ replicas: 2, idle: 2 })
  })

  it('is unloaded although a replica that is to go still runs', async () => {
    await start({ replicas: 2 })
    const held = gate()
    const handle = await loadGated(runtime, '1', { gate: held }, { drainTimeoutMs: 20 })
    const asked = [codeOf(ask(runtime, 1, 'hold')), codeOf(ask(runtime, 2, 'hold'))]
    await held.arrival('run', 2)
    const resizing = codeOf(handle.resize(1))
    expect(await runtime.models.unloadModel('gated')).toMatchObject({ rejected: 2 })
    expect(await Promise.all(asked)).toEqual(['ERR_DRAIN_TIMEOUT', 'ERR_DRAIN_TIMEOUT'])
    expect(await resizing).toBe('ERR_MODEL_UNAVAILABLE')
    expect(await codeOf(handle.resize(2))).toBe('ERR_MODEL_NOT_FOUND')
  })
})

describe('a resize while the runtime closes', () => {
  it('that grows rejects, and no thread is left', async () => {
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

  it('that shrinks settles, and the last runs are answered', async () => {
    await start({ replicas: 2 })
    const held = gate()
    const handle = await loadGated(runtime, '1', { gate: held })
    const asked = [ask(runtime, 1, 'hold'), ask(runtime, 2, 'hold')]
    await held.arrival('run', 2)
    const resizing = handle.resize(1).then(
      () => 'done',
      ({ code }) => code,
    )
    await settle()
    const closing = runtime.close()
    held.open('run', 2)
    expect(await Promise.all(asked)).toEqual([1, 2])
    expect(await closing).toMatchObject({ rejected: 0, stuck: [] })
    // The replica may be gone before the pool is stopped.
    expect(['done', 'ERR_RUNTIME_CLOSED']).toContain(await resizing)
  })
})

describe('the number of replicas', () => {
  it('that a cold version is told is that of its next pool', async () => {
    await start()
    const handle = await loadGated(runtime, '1')
    await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
    await handle.resize(3)
    expect(poolOf(handle)).toBeUndefined()
    expect(await ask(runtime, 1)).toBe(1)
    await allServing(handle)
    expect(poolOf(handle)).toMatchObject({ replicas: 3 })
  })

  it('is kept when the version is evicted and comes back', async () => {
    await start()
    const handle = await loadGated(runtime, '1')
    await handle.resize(2)
    await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
    expect(await ask(runtime, 1)).toBe(1)
    await allServing(handle)
    expect(poolOf(handle)).toMatchObject({ replicas: 2 })
  })

  it('is taken over by a version that replaces it from a source', async () => {
    await start()
    const handle = await loadGated(runtime, '1')
    await handle.resize(2)
    await runtime.models.hotSwapModel({ ...gated(), newVersion: '2' })
    expect(runtime.models.getModel('gated')?.stats().pool).toMatchObject({ replicas: 2 })
  })

  it('can be left to the cores again', async () => {
    await start({ replicas: 'auto', processes: 1024 })
    const handle = await loadGated(runtime, '1')
    expect(poolOf(handle)).toMatchObject({ replicas: 1 })
    await handle.resize(2)
    await handle.resize('auto')
    expect(poolOf(handle)).toMatchObject({ replicas: 1 })
  })

  it('cannot be changed of a version that is in error', async () => {
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
