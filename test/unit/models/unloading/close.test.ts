import { describe, expect, it } from 'vitest'
import { ask, codeOf, errorOf, gated, loadGated, movesOf, settle } from '../../../support/runtime-harness.js'
import { advance, gate, runtime, start, useSimulatedRuntime } from '../../../support/simulated-runtime.js'

useSimulatedRuntime()

const SOON_MS = 20
/** The minimum that a timer takes: a replica that has no time left is given up after it. */
const TICK_MS = 1

/** Closes the runtime, and lets the time pass that the close may take. */
async function closeSoon(): ReturnType<typeof runtime.close> {
  const closing = runtime.close({ timeoutMs: SOON_MS })
  await advance(SOON_MS + TICK_MS)
  return closing
}

const states = (): string[] => runtime.models.listModels().map(({ state }) => state)

describe('close', () => {
  it('stops every model and publishes its report last', async () => {
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

  it('stops a runtime without models', async () => {
    await start()
    expect(await runtime.close()).toMatchObject({ rejected: 0, stuck: [] })
    expect(runtime.state).toBe('stopped')
  })

  it('closes once and returns the same report to every call, at once and later', async () => {
    await start()
    await loadGated(runtime, '1')
    const moves = movesOf(runtime)
    const all = [runtime.close(), runtime.close({ timeoutMs: 1 }), runtime[Symbol.asyncDispose]()]
    const [first, second] = await Promise.all(all)
    expect(second).toBe(first)
    expect(await runtime.close()).toBe(first)
    expect(moves.filter((move) => move.startsWith('application'))).toHaveLength(2)
  })

  it('rejects with ERR_INVALID_OPTIONS and closes nothing when its options are wrong', async () => {
    await start()
    expect(await codeOf(runtime.close({ timeoutMs: -1 }))).toBe('ERR_INVALID_OPTIONS')
    expect(runtime.state).toBe('running')
    expect(await codeOf(runtime.close({ timeout: 1 } as never))).toBe('ERR_INVALID_OPTIONS')
  })

  it('answers admitted requests, running and queued, and rejects later ones', async () => {
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

  it('rejects requests that are not answered in time, names the replica and resolves', async () => {
    await start()
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const admitted = Promise.allSettled([ask(runtime, 1, 'hold'), ask(runtime, 2)])
    await held.arrival('run')
    const report = await closeSoon()
    expect(report).toMatchObject({
      rejected: 2,
      stuck: [{ model: 'gated', version: '1', threadId: expect.any(Number) }],
    })
    for (const outcome of await admitted) {
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: { code: 'ERR_RUNTIME_CLOSED', model: 'gated', version: '1' },
      })
    }
    expect(runtime.state).toBe('stopped')
  })

  it('during a load rejects the load and leaves no replica', async () => {
    await start()
    const held = gate()
    const loading = errorOf(loadGated(runtime, '1', { gate: held, hold: ['load'] }))
    await held.arrival('load')
    const closing = runtime.close({ timeoutMs: 60_000 })
    held.open('load')
    expect(await loading).toMatchObject({ code: 'ERR_RUNTIME_CLOSED' })
    expect(await closing).toMatchObject({ stuck: [] })
    expect(states()).toEqual(['stopped'])
  })

  it('rejects a load that does not return, in time', async () => {
    await start()
    const held = gate()
    const loading = errorOf(loadGated(runtime, '1', { gate: held, hold: ['load'] }))
    await held.arrival('load')
    expect(await closeSoon()).toMatchObject({ stuck: [{ model: 'gated', version: '1' }] })
    expect(await loading).toMatchObject({ code: 'ERR_RUNTIME_CLOSED' })
  })

  it('rejects requests that wait for a cold start without waiting for its end', async () => {
    await start()
    const held = gate()
    held.open('load')
    await loadGated(runtime, '1', { gate: held, hold: ['load'] })
    await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
    const waiting = [codeOf(ask(runtime, 1)), codeOf(ask(runtime, 2))]
    await held.arrival('load', 2)
    const closing = runtime.close({ timeoutMs: SOON_MS })
    // No time passes for these two.
    expect(await Promise.all(waiting)).toEqual(['ERR_RUNTIME_CLOSED', 'ERR_RUNTIME_CLOSED'])
    await advance(SOON_MS + TICK_MS)
    await closing
  })

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

  it('during a swap rejects the swap, answers admitted requests and leaves no replica', async () => {
    await start()
    const held = gate()
    await loadGated(runtime, '1', { gate: held, offset: 1 })
    const admitted = ask(runtime, 1, 'hold')
    await held.arrival('run')
    const second = gated({ offset: 2, gate: held, hold: ['load'] })
    const swap = errorOf(runtime.models.hotSwapModel({ ...second, newVersion: '2' }))
    await held.arrival('load')
    const closing = runtime.close({ timeoutMs: 60_000 })
    held.open('run')
    expect(await admitted).toBe(2)
    held.open('load')
    expect(await swap).toMatchObject({ code: 'ERR_RUNTIME_CLOSED' })
    expect(await closing).toMatchObject({ rejected: 0, stuck: [] })
    expect(states()).toEqual(['stopped', 'stopped'])
  })

  it('applies its own deadline to a version that is being drained with more time', async () => {
    await start({ drainTimeoutMs: 5_000 })
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const late = errorOf(ask(runtime, 1, 'hold'))
    await held.arrival('run')
    const swap = await runtime.models.hotSwapModel({ ...gated(), newVersion: '2' })
    const report = await closeSoon()
    expect(await late).toMatchObject({ code: 'ERR_RUNTIME_CLOSED', version: '1' })
    expect(report).toMatchObject({ rejected: 1, stuck: [{ version: '1' }] })
    await swap.drained
  })

  it('waits for an unload that is under way', async () => {
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
    expect(isClosed).toBe(false)
    held.openForGood()
    await Promise.all([unloading, closing])
  })

  it('leaves nothing running when a listener calls it in the middle of a swap', async () => {
    await start()
    await loadGated(runtime, '1')
    let closing: Promise<unknown> | undefined
    runtime.on('transition', ({ component, to }) => {
      if (component === 'model gated@2' && to === 'starting') closing ??= runtime.close()
    })
    const swap = runtime.models.hotSwapModel({ ...gated(), newVersion: '2' })
    const [outcome] = await Promise.allSettled([swap])
    expect(closing).toBeDefined()
    await closing
    if (outcome.status === 'fulfilled') await outcome.value.drained
    else expect(outcome.reason).toMatchObject({ code: 'ERR_RUNTIME_CLOSED' })
    expect(runtime.state).toBe('stopped')
    expect(states()).toEqual(['stopped', 'stopped'])
    for (const { stats } of runtime.models.listModels()) expect(stats.pool).toBeUndefined()
  })

  it('leaves nothing running when a listener calls it in the middle of an eviction', async () => {
    await start()
    await loadGated(runtime, '1')
    let closing: Promise<unknown> | undefined
    runtime.on('transition', ({ component, to }) => {
      if (component === 'model gated@1' && to === 'stopping') closing ??= runtime.close()
    })
    await Promise.allSettled([runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })])
    expect(closing).toBeDefined()
    await closing
    expect(states()).toEqual(['stopped'])
  })
})
