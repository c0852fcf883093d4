import type { Runtime, RuntimeOptions } from 'tbcoin-engine'
import { describe, expect, it, onTestFinished } from 'vitest'
import * as graphs from '../../models/synthetic/graphs.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { gate, runtime, start } from '../support/gated-runtime.js'
import { ask, codeOf, inState, loadGated, movesOf, settle, yOf } from '../support/runtime-harness.js'

/** Starts a runtime that serves a file of onnxruntime. */
async function serve(options: RuntimeOptions = {}): Promise<Runtime> {
  const repository = tempRepository({ m: { '1': graphs.constantAnswer(1) } })
  onTestFinished(() => repository.dispose())
  return start({ modelDir: repository.dir, ...options })
}

const loads = (moves: readonly string[]): number =>
  moves.filter((move) => move.includes('>initializing')).length

describe('cleanupUnusedModels', () => {
  it('ends the threads of an unused version, which stays known, active and cold', async () => {
    const { models } = await serve()
    const reports = await models.cleanupUnusedModels({ maxAgeMs: 0 })
    expect(reports).toEqual([
      {
        name: 'm',
        versions: ['1'],
        bytesReturned: expect.any(Number),
        durationMs: expect.any(Number),
        rejected: 0,
        stuck: [],
      },
    ])
    expect(reports[0]?.bytesReturned).toBeGreaterThanOrEqual(0)
    const [info] = models.listModels()
    expect(info).toMatchObject({ name: 'm', version: '1', state: 'stopped', isActive: true })
    expect(info?.stats.pool).toBeUndefined()
    expect(info?.signature?.inputs).toHaveLength(1)
    expect(models.getModel('m')?.version).toBe('1')
    expect(await models.cleanupUnusedModels({ maxAgeMs: 0 })).toEqual([])
  })

  it('evicts the same version again and again while requests arrive', async () => {
    await serve()
    const moves = movesOf(runtime)
    let cleanups = 0
    for (let round = 0; round < 5; round += 1) {
      const answers = Promise.all(Array.from({ length: 20 }, (_, x) => runtime.predict('m', { x })))
      await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
      expect((await answers).map(yOf)).toEqual(Array.from({ length: 20 }, (_, x) => x + 1))
      cleanups += (await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })).length
    }
    expect(cleanups).toBe(5)
    expect(loads(moves)).toBe(4)
  })
})

describe('an idle version', () => {
  it('is evicted by itself and comes back with the next request', async () => {
    await serve({ modelCleanupIntervalMs: 5, modelIdleMs: 20 })
    await inState(runtime, 'm', '1', 'stopped')
    const moves = movesOf(runtime)
    expect(yOf(await runtime.predict('m', { x: 1 }))).toBe(2)
    expect(loads(moves)).toBe(1)
    await inState(runtime, 'm', '1', 'stopped')
  })
})

describe('unloadModel', () => {
  it('lets every admitted request be answered, then forgets the model', async () => {
    await start()
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const admitted = [
      ask(runtime, 1, 'hold'),
      ...Array.from({ length: 20 }, (_, x) => ask(runtime as Runtime, x)),
    ]
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

  it('rejects requests that are not answered within drainTimeoutMs, and reports the replica', async () => {
    await start({ drainTimeoutMs: 20 })
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const running = ask(runtime, 1, 'hold')
    const waiting = ask(runtime, 2)
    const outcomes = Promise.allSettled([running, waiting])
    await held.arrival('run')
    const report = await runtime.models.unloadModel('gated')
    expect(report).toMatchObject({ rejected: 2, stuck: [{ model: 'gated', version: '1' }] })
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: { code: 'ERR_DRAIN_TIMEOUT', model: 'gated' },
      })
    }
    await loadGated(runtime, '1')
    expect(await ask(runtime, 3)).toBe(3)
  })
})
