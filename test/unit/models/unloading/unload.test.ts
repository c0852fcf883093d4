import { describe, expect, it } from 'vitest'
import { ask, codeOf, loadGated, nextMove, settle } from '../../../support/runtime-harness.js'
import { advance, gate, runtime, start, useSimulatedRuntime } from '../../../support/simulated-runtime.js'

useSimulatedRuntime()

describe('unloadModel', () => {
  it('lets every admitted request be answered, then forgets the model', async () => {
    await start()
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const admitted = [ask(runtime, 1, 'hold'), ...Array.from({ length: 20 }, (_, x) => ask(runtime, x))]
    await held.arrival('run')
    const unloading = runtime.models.unloadModel('gated')
    await settle()
    expect(await codeOf(ask(runtime, 1))).toBe('ERR_MODEL_NOT_FOUND')
    held.open('run')
    expect(await Promise.all(admitted)).toEqual([1, ...Array.from({ length: 20 }, (_, x) => x)])
    expect(await unloading).toMatchObject({ name: 'gated', versions: ['1'], rejected: 0, stuck: [] })
    expect(runtime.models.listModels()).toEqual([])
    expect(runtime.models.getModel('gated')).toBeUndefined()
  })

  it('takes one version and leaves the others', async () => {
    await start()
    await loadGated(runtime, '1', { offset: 10 })
    await loadGated(runtime, '2', { offset: 20 })
    await runtime.models.unloadModel('gated', '2')
    expect(await ask(runtime, 1)).toBe(11)
    expect(await codeOf(ask(runtime, 1, '', { version: '2' }))).toBe('ERR_VERSION_NOT_FOUND')
    await runtime.models.unloadModel('gated', '1')
    expect(await codeOf(ask(runtime, 1))).toBe('ERR_MODEL_NOT_FOUND')
  })

  it('leaves the model without an active version when it takes the active one', async () => {
    await start()
    await loadGated(runtime, '1')
    await loadGated(runtime, '2', { offset: 20 })
    await runtime.models.unloadModel('gated', '1')
    expect(await codeOf(ask(runtime, 1))).toBe('ERR_MODEL_UNAVAILABLE')
    expect(await ask(runtime, 1, '', { version: '2' })).toBe(21)
    await runtime.models.hotSwapModel({ name: 'gated', newVersion: '2' })
    expect(await ask(runtime, 1)).toBe(21)
  })

  it('unloads a version once when two calls name it at the same time', async () => {
    await start()
    await loadGated(runtime, '1')
    const outcomes = await Promise.allSettled([
      runtime.models.unloadModel('gated', '1'),
      runtime.models.unloadModel('gated', '1'),
    ])
    expect(outcomes).toMatchObject([
      { status: 'fulfilled', value: { versions: ['1'] } },
      { status: 'rejected', reason: { code: 'ERR_MODEL_NOT_FOUND' } },
    ])
  })

  it('waits for the load of the version that is under way', async () => {
    await start()
    const held = gate()
    const loading = loadGated(runtime, '1', { gate: held, hold: ['load'] })
    await held.arrival('load')
    const unloading = runtime.models.unloadModel('gated')
    held.open('load')
    await Promise.allSettled([loading])
    expect(await unloading).toMatchObject({ name: 'gated' })
    expect(runtime.models.listModels()).toEqual([])
  })

  it('makes the label free, so that the same version can be loaded anew from elsewhere', async () => {
    await start()
    await loadGated(runtime, '1', { offset: 1 })
    await runtime.models.unloadModel('gated')
    await loadGated(runtime, '1', { offset: 2 })
    expect(await ask(runtime, 0)).toBe(2)
  })

  it('rejects requests that are not answered within drainTimeoutMs, and reports the replica', async () => {
    await start({ drainTimeoutMs: 20 })
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const outcomes = Promise.allSettled([ask(runtime, 1, 'hold'), ask(runtime, 2)])
    await held.arrival('run')
    const unloading = runtime.models.unloadModel('gated')
    // A replica that has no time left is given up after the minimum that a timer takes.
    await advance(20 + 1)
    expect(await unloading).toMatchObject({ rejected: 2, stuck: [{ model: 'gated', version: '1' }] })
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: { code: 'ERR_DRAIN_TIMEOUT', model: 'gated' },
      })
    }
    await loadGated(runtime, '1')
    expect(await ask(runtime, 3)).toBe(3)
  })

  it('stops a version before it is out of reach, and forgets it with the event of its end', async () => {
    await start()
    await loadGated(runtime, '1')
    const reachable: string[] = []
    runtime.on('transition', ({ to }) => {
      reachable.push(`${to} ${runtime.models.getModel('gated', '1') === undefined ? 'unknown' : 'known'}`)
    })
    const stopped = nextMove(runtime, ({ to }) => to === 'stopped')
    await runtime.models.unloadModel('gated')
    await stopped
    expect(reachable).toEqual(['stopping known', 'stopped unknown'])
  })
})
