import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import * as graphs from '../../models/synthetic/graphs.js'
import { type TempFolder, tempFolder } from '../../models/synthetic/temp-folder.js'
import { gate, runtime, start } from '../support/gated-runtime.js'
import { ask, codeOf, gated, loadGated, settle, stateOf } from '../support/runtime-harness.js'

let folder: TempFolder | undefined
afterEach(() => {
  folder?.[Symbol.dispose]()
  folder = undefined
})

describe('a release of a replica that does not return', () => {
  it('does not delay other changes of the model when a version is unloaded', async () => {
    await start()
    await loadGated(runtime, '1')
    const held = gate()
    await loadGated(runtime, '2', { gate: held, hold: ['release'] })
    const unloading = runtime.models.unloadModel('gated', '2')
    let isUnloaded = false
    void unloading.then(() => {
      isUnloaded = true
    })
    await held.arrival('release')
    await loadGated(runtime, '3', { offset: 3 })
    await runtime.models.hotSwapModel({ name: 'gated', newVersion: '3' })
    expect(await ask(runtime, 1)).toBe(4)
    expect(isUnloaded).toBe(false)
    expect(await unloading).toMatchObject({
      versions: ['2'],
      rejected: 0,
      stuck: [{ model: 'gated', version: '2' }],
    })
  })

  it('is reported by the drain of a swap long before the timeout for requests', async () => {
    await start({ drainTimeoutMs: 3_600_000 })
    const held = gate()
    await loadGated(runtime, '1', { gate: held, hold: ['release'] })
    const swap = await runtime.models.hotSwapModel({ ...gated({ offset: 2 }), newVersion: '2' })
    expect(await swap.drained).toMatchObject({ rejected: 0, stuck: [{ version: '1' }] })
    expect(stateOf(runtime, 'gated', '1')).toBe('stopped')
  })

  it('does not keep an evicted version from being loaded again', async () => {
    await start({ drainTimeoutMs: 3_600_000 })
    const held = gate()
    await loadGated(runtime, '1', { gate: held, hold: ['release'], offset: 1 })
    const evicting = runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
    await held.arrival('release')
    expect(await ask(runtime, 1)).toBe(2)
    expect(await evicting).toMatchObject([{ versions: ['1'], stuck: [{ version: '1' }] }])
  })
})

describe('close', () => {
  it('counts requests that an earlier drain rejects meanwhile', async () => {
    await start({ drainTimeoutMs: 300 })
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const request = codeOf(ask(runtime, 1, 'hold'))
    await held.arrival('run')
    const unloading = runtime.models.unloadModel('gated')
    await settle(1)
    const closing = runtime.close({ timeoutMs: 60_000 })
    expect(await request).toBe('ERR_DRAIN_TIMEOUT')
    held.openForGood()
    expect(await closing).toMatchObject({ rejected: 1 })
    expect(await unloading).toMatchObject({ rejected: 1 })
  })

  it('releases the artifact of a load that waits for its turn', async () => {
    folder = tempFolder()
    const cacheDir = join(folder.path, 'cache')
    const source = join(folder.path, 'model.onnx')
    writeFileSync(source, graphs.mlp())
    const x = new Float32Array(4)
    const model = { name: 'm', version: '1', source, config: { sample: { input: { x } } } }
    const options = { cacheDir, artifacts: { minBytes: 0 } }
    await start({ ...options, models: [model] })
    expect(runtime.models.getModel('m')?.stats().artifact?.form).not.toBe('original')
    await runtime.close()
    expect(marksIn(cacheDir)).toEqual([])

    await start(options)
    const held = gate()
    const first = codeOf(loadGated(runtime, '1', { gate: held, hold: ['load'] }))
    await held.arrival('load')
    const second = codeOf(runtime.models.loadModel(model))
    while (marksIn(cacheDir).length === 0) await settle(1)
    await settle()
    const closing = runtime.close({ timeoutMs: 60_000 })
    held.openForGood()
    await closing
    expect(await Promise.all([first, second])).toEqual(Array(2).fill('ERR_RUNTIME_CLOSED'))
    // A load that has not yet read its artifact releases it in the background.
    while (marksIn(cacheDir).length > 0) await settle(1)
  })

  it('during the initial proof of a version settles its load', async () => {
    folder = tempFolder()
    const source = join(folder.path, 'model.onnx')
    writeFileSync(source, graphs.bigLoad(32))
    const sample = { input: { x: new Float32Array(1024).fill(0.1) } }
    for (let turns = 0; turns < 400; turns = 2 * turns + 1) {
      await start({ probe: 'off', artifacts: 'off' })
      const loading = runtime.models.loadModel({ name: 'm', version: '1', source, config: { sample } }).then(
        () => 'done',
        (error) => error.code,
      )
      while (runtime.models.getModel('m', '1')?.stats().pool?.busy !== 1) await settle(1)
      await settle(turns)
      await runtime.close()
      expect(['done', 'ERR_RUNTIME_CLOSED']).toContain(await loading)
    }
  })
})

function marksIn(cacheDir: string): string[] {
  return readdirSync(join(cacheDir, 'v1', 'uses'))
}
