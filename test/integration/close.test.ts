import { afterEach, describe, expect, it } from 'vitest'
import * as graphs from '../../models/synthetic/graphs.js'
import { type TempRepository, tempRepository } from '../../models/synthetic/temp-repository.js'
import { gate, runtime, start } from '../support/gated-runtime.js'
import {
  ask,
  Callers,
  codeOf,
  errorOf,
  gated,
  loadGated,
  movesOf,
  quietRuntime,
  settle,
  yOf,
} from '../support/runtime-harness.js'

let repository: TempRepository | undefined
afterEach(() => {
  repository?.dispose()
  repository = undefined
})

/** A limit far below those that would end a test by themselves. */
const SOON_MS = 20

describe('close', () => {
  it('stops everything and says so last', async () => {
    await start()
    await loadGated(runtime, '1')
    await loadGated(runtime, '2')
    const moves = movesOf(runtime)
    const closed: unknown[] = []
    runtime.on('closed', (report) => closed.push(report, runtime.state, moves.length))
    const report = await runtime.close()
    expect(report).toEqual({ durationMs: expect.any(Number), rejected: 0, stuck: [], failures: [] })
    expect(moves.slice(0, 1)).toEqual(['application tbcoin-engine running>stopping'])
    expect(moves.slice(-1)).toEqual(['application tbcoin-engine stopping>stopped'])
    expect(moves).toContain('gated@1 stopping>stopped')
    expect(moves).toContain('gated@2 stopping>stopped')
    expect(closed).toEqual([report, 'stopped', moves.length])
    for (const info of runtime.models.listModels()) expect(info.stats.pool).toBeUndefined()
  })

  it('of a runtime without models is quick and well', async () => {
    await start()
    expect(await runtime.close()).toMatchObject({ rejected: 0, stuck: [] })
    expect(runtime.state).toBe('stopped')
  })

  it('is one close however often it is asked for, at once and later', async () => {
    await start()
    await loadGated(runtime, '1')
    const moves = movesOf(runtime)
    const all = [runtime.close(), runtime.close({ timeoutMs: 1 }), runtime[Symbol.asyncDispose]()]
    const [first, second] = await Promise.all(all)
    expect(second).toBe(first)
    expect(await runtime.close()).toBe(first)
    expect(moves.filter((move) => move.startsWith('application'))).toHaveLength(2)
  })

  it('with a bad limit is refused and closes nothing', async () => {
    await start()
    expect(await codeOf(runtime.close({ timeoutMs: -1 }))).toBe('ERR_INVALID_OPTIONS')
    expect(runtime.state).toBe('running')
    expect(await codeOf(runtime.close({ timeout: 1 } as never))).toBe('ERR_INVALID_OPTIONS')
  })

  it('answers what was admitted, in flight and queued, and refuses what comes later', async () => {
    await start()
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const admitted = [ask(runtime, 1, 'hold'), ask(runtime, 2), ask(runtime, 3)]
    await held.arrival('run')
    const closing = runtime.close({ timeoutMs: 60_000 })
    expect(runtime.state).toBe('stopping')
    expect(await codeOf(ask(runtime, 4))).toBe('ERR_RUNTIME_CLOSED')
    held.open('run')
    expect(await Promise.all(admitted)).toEqual([1, 2, 3])
    expect(await closing).toMatchObject({ rejected: 0, stuck: [] })
  })

  it('rejects what is not answered in time, names the replica and returns', async () => {
    await start()
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const admitted = Promise.allSettled([ask(runtime, 1, 'hold'), ask(runtime, 2)])
    await held.arrival('run')
    const threadId = (await runtime.models.getModel('gated')?.replicas())?.[0]?.threadId
    const report = await runtime.close({ timeoutMs: SOON_MS })
    expect(report).toMatchObject({ rejected: 2, stuck: [{ model: 'gated', version: '1', threadId }] })
    for (const outcome of await admitted) {
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: { code: 'ERR_RUNTIME_CLOSED', model: 'gated', version: '1' },
      })
    }
    expect(runtime.state).toBe('stopped')
  })

  it('ends a replica that blocks in JavaScript, for that is safe', async () => {
    await start()
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const blocked = codeOf(ask(runtime, 1, 'block'))
    await held.arrival('run')
    await runtime.close({ timeoutMs: SOON_MS })
    expect(await blocked).toBe('ERR_RUNTIME_CLOSED')
  })

  it('keeps the books under load', async () => {
    repository = tempRepository({ m: { '1': graphs.constantAnswer(1) } })
    await start({ modelDir: repository.dir })
    const callers = new Callers(runtime, 'm', { '1': 1 })
    callers.start(16)
    await callers.more(100)
    const report = await runtime.close()
    await callers.finish('ERR_RUNTIME_CLOSED')
    expect(report).toMatchObject({ rejected: 0, stuck: [] })
    expect(callers.answered).toBeGreaterThanOrEqual(100)
  })

  it('during a load rejects the load and leaves no thread', async () => {
    await start()
    const held = gate()
    const loading = errorOf(loadGated(runtime, '1', { gate: held, hold: ['load'] }))
    await held.arrival('load')
    const closing = runtime.close({ timeoutMs: 60_000 })
    held.open('load')
    expect(await loading).toMatchObject({ code: 'ERR_RUNTIME_CLOSED' })
    expect(await closing).toMatchObject({ stuck: [] })
    expect(runtime.models.listModels().map((one) => one.state)).toEqual(['stopped'])
  })

  it('during a load that does not return rejects the load in time', async () => {
    await start()
    const held = gate()
    const loading = errorOf(loadGated(runtime, '1', { gate: held, hold: ['load'] }))
    await held.arrival('load')
    const report = await runtime.close({ timeoutMs: SOON_MS })
    expect(report).toMatchObject({ stuck: [{ model: 'gated', version: '1' }] })
    expect(await loading).toMatchObject({ code: 'ERR_RUNTIME_CLOSED' })
  }, 10_000)

  it('during a cold start that does not return rejects the callers who wait for it, in time', async () => {
    await start()
    const held = gate()
    held.open('load')
    await loadGated(runtime, '1', { gate: held, hold: ['load'] })
    await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
    const waiting = [codeOf(ask(runtime, 1)), codeOf(ask(runtime, 2))]
    await held.arrival('load', 2)
    await runtime.close({ timeoutMs: SOON_MS })
    expect(await Promise.all(waiting)).toEqual(['ERR_RUNTIME_CLOSED', 'ERR_RUNTIME_CLOSED'])
  }, 10_000)

  it('rejects loads that wait for their turn', async () => {
    await start()
    const held = gate()
    const loads = [codeOf(loadGated(runtime, '1', { name: 'a', gate: held, hold: ['load'] }))]
    await held.arrival('load')
    for (const name of ['b', 'c']) loads.push(codeOf(loadGated(runtime, '1', { name })))
    await settle()
    const closing = runtime.close({ timeoutMs: 60_000 })
    held.open('load')
    await closing
    expect(await Promise.all(loads)).toEqual(Array(3).fill('ERR_RUNTIME_CLOSED'))
    for (const { state, stats } of runtime.models.listModels()) {
      expect({ state, pool: stats.pool }).toEqual({
        state: expect.stringMatching(/stopped|uninitialized/),
        pool: undefined,
      })
    }
  })

  it('during a swap rejects the swap, answers what was admitted and leaves no thread', async () => {
    await start()
    const held = gate()
    await loadGated(runtime, '1', { gate: held, offset: 1 })
    const admitted = ask(runtime, 1, 'hold')
    await held.arrival('run')
    const swap = errorOf(
      runtime.models.hotSwapModel({ ...gated({ offset: 2, gate: held, hold: ['load'] }), newVersion: '2' }),
    )
    await held.arrival('load')
    const closing = runtime.close({ timeoutMs: 60_000 })
    held.open('run')
    expect(await admitted).toBe(2)
    held.open('load')
    expect(await swap).toMatchObject({ code: 'ERR_RUNTIME_CLOSED' })
    expect(await closing).toMatchObject({ rejected: 0, stuck: [] })
    expect(runtime.models.listModels().map((one) => one.state)).toEqual(['stopped', 'stopped'])
  })

  it('has its own deadline for a version that is being drained with more time', async () => {
    await start({ drainTimeoutMs: 5_000 })
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const late = errorOf(ask(runtime, 1, 'hold'))
    await held.arrival('run')
    const swap = await runtime.models.hotSwapModel({ ...gated(), newVersion: '2' })
    const report = await runtime.close({ timeoutMs: SOON_MS })
    expect(await late).toMatchObject({ code: 'ERR_RUNTIME_CLOSED', version: '1' })
    expect(report).toMatchObject({ rejected: 1, stuck: [{ version: '1' }] })
    held.openForGood()
    await swap.drained
  })

  it('during an unload waits for it', async () => {
    await start()
    const held = gate()
    await loadGated(runtime, '1', { gate: held, hold: ['release'] })
    const unloading = runtime.models.unloadModel('gated')
    await held.arrival('release')
    let isClosed = false
    const closing = runtime.close({ timeoutMs: 60_000 }).then(() => {
      isClosed = true
    })
    await settle()
    // A thread of an unloaded model is a thread: the runtime is not closed while it lives.
    expect(isClosed).toBe(false)
    held.openForGood()
    await Promise.all([unloading, closing])
  })

  it('called out of a listener in the middle of a swap leaves nothing running', async () => {
    await start()
    await loadGated(runtime, '1')
    let closing: Promise<unknown> | undefined
    runtime.on('transition', ({ component, to }) => {
      if (component === 'model gated@2' && to === 'starting') closing ??= runtime.close()
    })
    const swap = runtime.models.hotSwapModel({ ...gated(), newVersion: '2' })
    const [outcome] = await Promise.allSettled([swap])
    await closing
    if (outcome.status === 'fulfilled') await outcome.value.drained
    else expect(outcome.reason).toMatchObject({ code: 'ERR_RUNTIME_CLOSED' })
    expect(runtime.state).toBe('stopped')
    for (const { version, state, stats } of runtime.models.listModels()) {
      expect({ version, state, pool: stats.pool }).toEqual({ version, state: 'stopped', pool: undefined })
    }
  })

  it('called out of a listener in the middle of an eviction leaves nothing running', async () => {
    await start()
    await loadGated(runtime, '1')
    let closing: Promise<unknown> | undefined
    runtime.on('transition', ({ component, to }) => {
      if (component === 'model gated@1' && to === 'stopping') closing ??= runtime.close()
    })
    await Promise.allSettled([runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })])
    await closing
    expect(runtime.models.listModels().map((one) => one.state)).toEqual(['stopped'])
  })

  it('is what the end of an `await using` block does', async () => {
    repository = tempRepository({ m: { '1': graphs.constantAnswer(1) } })
    {
      await using inner = await start({ modelDir: repository.dir })
      expect(yOf(await inner.predict('m', { x: 1 }))).toBe(2)
    }
    expect(runtime.state).toBe('stopped')
  })

  it('leaves another runtime of the same process alone', async () => {
    await start()
    await loadGated(runtime, '1', { offset: 1 })
    await using other = await quietRuntime()
    await loadGated(other, '1', { offset: 2 })
    await runtime.close()
    expect(await ask(other, 0)).toBe(2)
  })
})
