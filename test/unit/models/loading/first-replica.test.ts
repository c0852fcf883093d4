import { describe, expect, it } from 'vitest'
import {
  allServing,
  ask,
  errorOf,
  gated,
  gatedLoader,
  inState,
  limitedLoader,
  loadGated,
  settle,
  stateOf,
} from '../../../support/runtime-harness.js'
import { advance, gate, runtime, start, useSimulatedRuntime } from '../../../support/simulated-runtime.js'

useSimulatedRuntime()

/** Loads version 1 of two replicas, of which the first is let through. */
async function loadWithOneOfTwo(held: ReturnType<typeof gate>, options = {}): Promise<void> {
  await start({ replicas: 2, ...options })
  runtime.models.registerModelLoader('gated', gatedLoader)
  held.open('load')
  await runtime.models.loadModel({ ...gated({ gate: held, hold: ['load'] }), version: '1' })
}

/** Returns a version of which as many loads succeed as `loads[1]` allows. */
function limited(loads: Int32Array): ReturnType<typeof gated> {
  runtime.models.registerModelLoader('limited', limitedLoader)
  return { ...gated({}, {}), modelType: 'limited', config: { loaderOptions: { loads: loads.buffer } } }
}

const poolOf = (version = '1') => runtime.models.getModel('gated', version)?.stats().pool

describe('a version with several replicas', () => {
  it('serves with its first replica while the others load', async () => {
    const held = gate()
    await loadWithOneOfTwo(held)
    expect(stateOf(runtime, 'gated', '1')).toBe('running')
    expect(await ask(runtime, 1)).toBe(1)
    await held.arrival('load', 2)
    expect(poolOf()).toMatchObject({ wanted: 2, replicas: 2, starting: 1, isGrowing: true })
    expect(await runtime.health()).toMatchObject({ status: 'healthy' })
    held.open('load')
    await allServing(await handle())
    expect(poolOf()).toMatchObject({ idle: 2, isGrowing: false })
  })

  it('serves with its first replica after an eviction too', async () => {
    const held = gate()
    await loadWithOneOfTwo(held)
    held.open('load')
    await allServing(await handle())
    await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
    held.open('load')
    expect(await ask(runtime, 1)).toBe(1)
    await held.arrival('load', 4)
    expect(poolOf()).toMatchObject({ wanted: 2, starting: 1 })
  })

  it('serves with one and is degraded when another cannot be loaded, and tries again', async () => {
    await start({ replicas: 2, restartBackoffMs: 50, maxRestartBackoffMs: 50 })
    const loads = new Int32Array(new SharedArrayBuffer(8))
    loads[1] = 1
    await runtime.models.loadModel({ ...limited(loads), version: '1' })
    while (poolOf()?.fault === undefined) await settle(1)
    expect(await ask(runtime, 1)).toBe(1)
    const report = await runtime.health()
    expect(report).toMatchObject({ status: 'degraded', isReady: true })
    expect(report.checks.replicas?.reason).toMatch(
      /^gated@1 has 1 of 2, the last could not be started: .*no more of them/,
    )
    Atomics.store(loads, 1, 1_000)
    await advance(50)
    await allServing(await handle())
    expect(poolOf()).toMatchObject({ fault: undefined })
    expect((await runtime.health()).checks.replicas?.status).toBe('healthy')
  })

  it('can be unloaded, resized and closed while the others load', async () => {
    const held = gate()
    await loadWithOneOfTwo(held)
    await held.arrival('load', 2)
    const resized = (await handle()).resize(1)
    held.open('load')
    await resized
    expect(poolOf()).toMatchObject({ wanted: 1, replicas: 1 })
    const grown = (await handle()).resize(3)
    await held.arrival('load', 3)
    const unloaded = runtime.models.unloadModel('gated')
    held.openForGood()
    expect((await errorOf(grown)).message).toContain('gated@1')
    expect(await unloaded).toMatchObject({ rejected: 0, stuck: [] })
  })
})

describe('a swap to a version with several replicas', () => {
  it('is promoted when it has as many replicas as the old version', async () => {
    await start({ replicas: 2 })
    await loadGated(runtime, '1')
    const held = gate()
    const swap = runtime.models.hotSwapModel({
      ...gated({ gate: held, hold: ['load'], offset: 1 }),
      newVersion: '2',
    })
    held.open('load')
    await held.arrival('load', 2)
    await inState(runtime, 'gated', '2', 'ready')
    expect(stateOf(runtime, 'gated', '1')).toBe('running')
    expect(await ask(runtime, 1)).toBe(1)
    held.open('load')
    await (await swap).drained
    expect(poolOf('2')).toMatchObject({ idle: 2 })
    expect(await ask(runtime, 1)).toBe(2)
  })

  it('is promoted with its own number of replicas if that is smaller', async () => {
    await start({ replicas: 3 })
    await loadGated(runtime, '1')
    await runtime.models.hotSwapModel({ ...gated({}, { replicas: 1 }), newVersion: '2' })
    expect(poolOf('2')).toMatchObject({ wanted: 1, replicas: 1 })
  })

  it('is promoted with as many replicas as the old version has if its own number is larger', async () => {
    await start({ replicas: 1 })
    await loadGated(runtime, '1')
    const held = gate()
    held.open('load')
    await runtime.models.hotSwapModel({
      ...gated({ gate: held, hold: ['load'] }, { replicas: 2 }),
      newVersion: '2',
    })
    await held.arrival('load', 2)
    expect(poolOf('2')).toMatchObject({ wanted: 2, starting: 1 })
  })

  it('is not promoted when one of its replicas cannot be loaded, and the old version stays active', async () => {
    await start({ replicas: 2 })
    await loadGated(runtime, '1')
    const loads = new Int32Array(new SharedArrayBuffer(8))
    loads[1] = 1
    const swap = runtime.models.hotSwapModel({ ...limited(loads), newVersion: '2' })
    expect(await errorOf(swap)).toMatchObject({ code: 'ERR_MODEL_LOAD', model: 'gated', version: '2' })
    expect(await ask(runtime, 1)).toBe(1)
    await inState(runtime, 'gated', '2', 'stopped')
  })

  it('can be superseded while its replicas load', async () => {
    await start({ replicas: 2 })
    await loadGated(runtime, '1')
    const held = gate()
    held.open('load')
    const swap = errorOf(
      runtime.models.hotSwapModel({ ...gated({ gate: held, hold: ['load'] }), newVersion: '2' }),
    )
    await held.arrival('load', 2)
    await inState(runtime, 'gated', '2', 'ready')
    const next = runtime.models.hotSwapModel({ ...gated({ offset: 3 }), newVersion: '3' })
    expect(await swap).toMatchObject({ code: 'ERR_SWAP_SUPERSEDED' })
    // The load of the other replica is still held up.
    expect((await next).to).toBe('3')
    held.openForGood()
  })
})

async function handle() {
  const found = runtime.models.getModel('gated')
  if (found === undefined) throw new Error('there is no such model')
  return found
}
