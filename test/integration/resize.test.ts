import type { ModelHandle } from 'tbcoin-engine'
import { describe, expect, it } from 'vitest'
import { constantAnswer } from '../../models/synthetic/graphs.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { gate, runtime, start } from '../support/gated-runtime.js'
import { ask, Callers, codeOf, errorOf, loadGated } from '../support/runtime-harness.js'

// `test/unit/models/resize.test.ts` has what needs no threads.

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

  it('ends idle replicas first when it shrinks, and leaves busy ones alone', async () => {
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

  it('releases the sessions of replicas that it ends', async () => {
    await start({ replicas: 3 })
    const held = gate()
    held.open('release', 2)
    const handle = await loadGated(runtime, '1', { gate: held, hold: ['release'] })
    await handle.resize(1)
    expect(held.arrived('release')).toBe(2)
  })

  it('loses no request while it grows and shrinks under load', async () => {
    await using repository = tempRepository({ m: { '1': constantAnswer(5) } })
    await start({ replicas: 2, modelDir: repository.dir, probe: 'off', artifacts: 'off' })
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
    const error = await errorOf(handle.resize(3))
    expect(error).toMatchObject({ code: 'ERR_MODEL_LOAD', model: 'gated', version: '1' })
    held.openForGood()
    expect(await threadsOf(handle)).toEqual([thread])
    expect(await ask(runtime, 1)).toBe(1)
    expect((await runtime.health()).checks.replicas?.reason ?? '').not.toContain('of 3')
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
    expect(await runtime.models.unloadModel('gated')).toMatchObject({ rejected: 2 })
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
})

describe('the number of replicas', () => {
  it('can follow the number of cores again', async () => {
    await start({ replicas: 'auto', processes: 1024 })
    const handle = await loadGated(runtime, '1')
    expect(poolOf(handle)).toMatchObject({ replicas: 1 })
    await handle.resize(2)
    await handle.resize('auto')
    expect(poolOf(handle)).toMatchObject({ replicas: 1 })
  })
})
