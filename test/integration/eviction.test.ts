import type { Runtime } from 'tbcoin-engine'
import { describe, expect, it } from 'vitest'
import * as graphs from '../../models/synthetic/graphs.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { gate, runtime, start } from '../support/gated-runtime.js'
import {
  ask,
  codeOf,
  inState,
  loadGated,
  movesOf,
  nextMove,
  settle,
  stateOf,
  yOf,
} from '../support/runtime-harness.js'

async function served(names: readonly string[] = ['m']): Promise<Runtime> {
  const repository = tempRepository(
    Object.fromEntries(names.map((name, index) => [name, { '1': graphs.constantAnswer(index + 1) }])),
  )
  return start({ modelDir: repository.dir })
}

const loads = (moves: readonly string[]): number =>
  moves.filter((move) => move.includes('>initializing')).length

describe('a clean-up', () => {
  it('takes the threads of an unused version; it stays known, active and cold', async () => {
    const { models } = await served()
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

  it('is followed by one load, however many ask at once', async () => {
    const it = await served()
    await it.models.cleanupUnusedModels({ maxAgeMs: 0 })
    const moves = movesOf(it)
    const answers = await Promise.all(Array.from({ length: 100 }, (_, x) => it.predict('m', { x })))
    expect(answers.map(yOf)).toEqual(Array.from({ length: 100 }, (_, x) => x + 1))
    expect(moves).toEqual([
      'm@1 stopped>initializing',
      'm@1 initializing>ready',
      'm@1 ready>starting',
      'm@1 starting>running',
    ])
  })

  it('can follow itself again and again while callers come', async () => {
    const it = await served()
    const moves = movesOf(it)
    let cleanups = 0
    for (let round = 0; round < 5; round += 1) {
      const answers = Promise.all(Array.from({ length: 20 }, (_, x) => it.predict('m', { x })))
      await it.models.cleanupUnusedModels({ maxAgeMs: 0 })
      expect((await answers).map(yOf)).toEqual(Array.from({ length: 20 }, (_, x) => x + 1))
      cleanups += (await it.models.cleanupUnusedModels({ maxAgeMs: 0 })).length
    }
    expect(cleanups).toBe(5)
    expect(loads(moves)).toBe(4)
  })

  it('leaves alone what was used more lately', async () => {
    const { models } = await served()
    await models.predict('m', { x: 1 })
    expect(await models.cleanupUnusedModels({ maxAgeMs: 3_600_000 })).toEqual([])
    expect(models.getModel('m')?.state).toBe('running')
  })

  it('never takes a version with a request in flight, or in the queue', async () => {
    await start()
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const running = ask(runtime, 1, 'hold')
    const waiting = ask(runtime, 2)
    await held.arrival('run')
    expect(await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })).toEqual([])
    held.open('run')
    expect(await Promise.all([running, waiting])).toEqual([1, 2])
    expect(await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })).toHaveLength(1)
  })

  it('takes a version whose only callers came with an aborted signal', async () => {
    const it = await served()
    const refused = it.predict('m', { x: 1 }, { signal: AbortSignal.abort() })
    expect(await codeOf(refused)).toBe('ERR_ABORTED')
    expect(it.models.getModel('m')?.stats()).toMatchObject({ queued: 0, inFlight: 0 })
    expect(await it.models.cleanupUnusedModels({ maxAgeMs: 0 })).toHaveLength(1)
  })

  it('takes a version on standby too', async () => {
    const it = await served()
    const { models } = it
    const repository = tempRepository({ m: { '2': graphs.constantAnswer(5) } })
    await models.loadModel({ name: 'm', version: '2', source: repository.path('m', '2') })
    await models.cleanupUnusedModels({ maxAgeMs: 0 })
    expect([stateOf(it, 'm', '1'), stateOf(it, 'm', '2')]).toEqual(['stopped', 'stopped'])
    expect(yOf(await it.predict('m', { x: 0 }))).toBe(1)
    expect(yOf(await it.predict('m', { x: 0 }, { version: '2' }))).toBe(5)
    repository.dispose()
  })

  it('survives that a model is unloaded meanwhile', async () => {
    await start()
    const slow = gate()
    await loadGated(runtime, '1', { name: 'slow', gate: slow, hold: ['release'] })
    await loadGated(runtime, '1', { name: 'gone' })
    const cleaning = runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
    // The first model is being evicted; the second one, next in line, is forgotten.
    await slow.arrival('release')
    await runtime.models.unloadModel('gone')
    await settle()
    slow.open('release')
    expect((await cleaning).map((report) => report.name)).toEqual(['slow'])
    expect(await ask(runtime, 1, '', {}, 'slow').catch((error) => error.code)).toBe(1)
  })

  it('that meets a request on its way lets the request be answered', async () => {
    await start()
    const held = gate()
    await loadGated(runtime, '1', { gate: held, hold: ['release'] })
    const cleaning = runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
    await held.arrival('release')
    expect(stateOf(runtime, 'gated', '1')).toBe('stopping')
    const late = [ask(runtime, 1), ask(runtime, 2)]
    held.openForGood()
    expect(await Promise.all(late)).toEqual([1, 2])
    expect(await cleaning).toHaveLength(1)
    expect(stateOf(runtime, 'gated', '1')).toBe('running')
  })
})

describe('an idle version', () => {
  const everyMs = { modelCleanupIntervalMs: 5 }

  it('gives its threads back by itself and comes back with the next request', async () => {
    const repository = tempRepository({ m: { '1': graphs.constantAnswer(1) } })
    await start({ modelDir: repository.dir, ...everyMs, modelIdleMs: 20 })
    await inState(runtime, 'm', '1', 'stopped')
    const moves = movesOf(runtime)
    expect(yOf(await runtime.predict('m', { x: 1 }))).toBe(2)
    expect(loads(moves)).toBe(1)
    await inState(runtime, 'm', '1', 'stopped')
  })

  it('is evicted when its time has come, not only when all are looked through', async () => {
    const repository = tempRepository({ m: { '1': graphs.constantAnswer(1) } })
    await start({ modelDir: repository.dir, modelIdleMs: 100 })
    // Every hour.
    await inState(runtime, 'm', '1', 'stopped')
    const startedAtMs = performance.now()
    await runtime.predict('m', { x: 1 })
    await inState(runtime, 'm', '1', 'stopped')
    expect(performance.now() - startedAtMs).toBeGreaterThanOrEqual(100)
  })

  it('is never taken while a request is in flight', async () => {
    await start({ ...everyMs, modelIdleMs: 1 })
    const held = gate()
    await loadGated(runtime, '1', { name: 'busy', gate: held })
    const running = ask(runtime, 1, 'hold', {}, 'busy')
    await held.arrival('run')
    const moves = movesOf(runtime)
    // Another one comes and goes several times meanwhile.
    await loadGated(runtime, '1', { name: 'other' })
    for (let round = 0; round < 3; round += 1) {
      await inState(runtime, 'other', '1', 'stopped')
      if (round < 2) await ask(runtime, round, '', {}, 'other')
    }
    expect(moves.filter((move) => move.startsWith('busy'))).toEqual([])
    held.open('run')
    expect(await running).toBe(1)
    await inState(runtime, 'busy', '1', 'stopped')
  })

  it('has a limit of its own, and keeps its threads when that is 0', async () => {
    await start({ ...everyMs, modelIdleMs: 20 })
    await loadGated(runtime, '1', { name: 'kept' }, { modelIdleMs: 0 })
    await loadGated(runtime, '1', { name: 'short' }, { modelIdleMs: 1 })
    await inState(runtime, 'short', '1', 'stopped')
    await loadGated(runtime, '1', { name: 'usual' })
    await inState(runtime, 'usual', '1', 'stopped')
    expect(stateOf(runtime, 'kept', '1')).toBe('running')
  })
})

describe('an unload', () => {
  it('answers every request that was admitted, then forgets the model', async () => {
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
    expect(await codeOf(ask(runtime, 1))).toMatch(/ERR_MODEL_NOT_FOUND|ERR_MODEL_UNAVAILABLE/)
    held.open('run')
    expect(await Promise.all(admitted)).toEqual([1, ...Array.from({ length: 20 }, (_, x) => x)])
    expect(await unloading).toMatchObject({ name: 'gated', versions: ['1'], rejected: 0, stuck: [] })
    expect(runtime.models.listModels()).toEqual([])
    expect(runtime.models.getModel('gated')).toBeUndefined()
  })

  it('of one version leaves the others', async () => {
    await start()
    await loadGated(runtime, '1', { offset: 10 })
    await loadGated(runtime, '2', { offset: 20 })
    await runtime.models.unloadModel('gated', '2')
    expect(await ask(runtime, 1)).toBe(11)
    expect(await codeOf(ask(runtime, 1, '', { version: '2' }))).toBe('ERR_VERSION_NOT_FOUND')
    await runtime.models.unloadModel('gated', '1')
    expect(await codeOf(ask(runtime, 1))).toBe('ERR_MODEL_NOT_FOUND')
  })

  it('of the active version leaves the model without one', async () => {
    await start()
    await loadGated(runtime, '1')
    await loadGated(runtime, '2', { offset: 20 })
    await runtime.models.unloadModel('gated', '1')
    expect(await codeOf(ask(runtime, 1))).toBe('ERR_MODEL_UNAVAILABLE')
    expect(await ask(runtime, 1, '', { version: '2' })).toBe(21)
    await runtime.models.hotSwapModel({ name: 'gated', newVersion: '2' })
    expect(await ask(runtime, 1)).toBe(21)
  })

  it('asked for twice at once happens once', async () => {
    await start()
    await loadGated(runtime, '1')
    const outcomes = await Promise.allSettled([
      runtime.models.unloadModel('gated', '1'),
      runtime.models.unloadModel('gated', '1'),
    ])
    expect(outcomes[0]).toMatchObject({ status: 'fulfilled', value: { versions: ['1'] } })
    if (outcomes[1]?.status === 'rejected') {
      expect(outcomes[1].reason.code).toMatch(/ERR_MODEL_NOT_FOUND|ERR_VERSION_NOT_FOUND/)
    }
  })

  it('that is asked for while the version is loaded waits for the load', async () => {
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

  it('makes the label free: the same version can be loaded anew from elsewhere', async () => {
    await start()
    await loadGated(runtime, '1', { offset: 1 })
    await runtime.models.unloadModel('gated')
    await loadGated(runtime, '1', { offset: 2 })
    expect(await ask(runtime, 0)).toBe(2)
  })

  it('rejects what is not answered in time, reports the replica and frees the caller', async () => {
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

  it('stops a version before it is out of reach, and forgets it with its last word', async () => {
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
