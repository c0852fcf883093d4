import type { RuntimeOptions, SwapResult } from 'tbcoin-engine'
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
  inState,
  loadGated,
  movesOf,
  stateOf,
  yOf,
} from '../support/runtime-harness.js'

// `test/unit/models/rollout/hot-swap.test.ts` has what needs no threads.

let repository: TempRepository | undefined
afterEach(() => {
  repository?.dispose()
  repository = undefined
})

/** Writes `count` versions of m, each of which adds its number times 1000; 1 is active. */
async function shifts(count: number, options: RuntimeOptions = {}): Promise<Record<string, number>> {
  const labels = Array.from({ length: count }, (_, i) => String(i + 1))
  repository = tempRepository({
    m: Object.fromEntries(labels.map((label) => [label, graphs.constantAnswer(Number(label) * 1000)])),
  })
  await start({
    modelDir: repository.dir,
    models: [{ name: 'm', version: '1' }],
    // Both start a process for each version.
    probe: 'off',
    artifacts: 'off',
    ...options,
  })
  return Object.fromEntries(labels.map((label) => [label, Number(label) * 1000]))
}

const swapTo = (newVersion: string): Promise<SwapResult> =>
  runtime.models.hotSwapModel({ name: 'm', newVersion })

describe('a hot swap', () => {
  it('loses no request, and the version that was active at its arrival runs each', async () => {
    // Artifacts exchange pools while requests run.
    const offsets = await shifts(4, { replicas: 2, artifacts: 'auto' })
    const callers = new Callers(runtime, 'm', offsets)
    callers.start(16)
    const drained: Promise<unknown>[] = []
    const order = ['2', '3', '1', '4']
    for (const version of order) {
      await callers.more(50)
      const swap = await swapTo(version)
      expect(swap.to).toBe(version)
      drained.push(swap.drained)
    }
    await callers.more(50)
    // Without known codes, since no request may be rejected.
    await callers.finish()
    expect(callers.answered).toBe(callers.submitted)
    expect([...callers.answeredBy.keys()].toSorted()).toEqual(['1', '2', '3', '4'])
    for (const report of await Promise.all(drained)) expect(report).toMatchObject({ rejected: 0, stuck: [] })
    expect(runtime.models.listModels().map((one) => [one.version, one.state])).toEqual([
      ['1', 'stopped'],
      ['2', 'stopped'],
      ['3', 'stopped'],
      ['4', 'running'],
    ])
  })

  it('completes while versions are evicted and requests arrive for cold ones', async () => {
    const offsets = await shifts(2)
    const callers = new Callers(runtime, 'm', offsets)
    callers.start(4)
    for (let round = 0; round < 3; round += 1) {
      await Promise.all([
        swapTo(round % 2 === 0 ? '2' : '1'),
        runtime.models.cleanupUnusedModels({ maxAgeMs: 0 }),
        callers.more(10),
      ])
    }
    await callers.finish()
    expect(callers.answered).toBe(callers.submitted)
  })

  it('leaves queued requests with the old version, and sends later ones to the new version', async () => {
    await start()
    const held = gate()
    await loadGated(runtime, '1', { gate: held, offset: 100 })
    const running = ask(runtime, 1, 'hold')
    const queued = [2, 3, 4].map((x) => ask(runtime, x))
    await held.arrival('run')
    const swap = await runtime.models.hotSwapModel({ ...gated({ offset: 200 }), newVersion: '2' })
    const after = ask(runtime, 5)
    expect(await after).toBe(205)
    expect(stateOf(runtime, 'gated', '1')).toBe('stopping')
    expect(runtime.models.getModel('gated', '1')?.stats()).toMatchObject({ inFlight: 1, queued: 3 })
    held.open('run')
    expect(await Promise.all([running, ...queued])).toEqual([101, 102, 103, 104])
    expect(await swap.drained).toMatchObject({ version: '1', rejected: 0 })
  })

  it('rejects waiting requests and detaches the stuck thread when the drain takes too long', async () => {
    await start({ drainTimeoutMs: 30 })
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const late = errorOf(ask(runtime, 1, 'hold'))
    await held.arrival('run')
    const swap = await runtime.models.hotSwapModel({ ...gated({ offset: 1 }), newVersion: '2' })
    expect(await swap.drained).toMatchObject({ rejected: 1, stuck: [{ model: 'gated', version: '1' }] })
    expect(await late).toMatchObject({ code: 'ERR_DRAIN_TIMEOUT', model: 'gated', version: '1' })
    expect(await ask(runtime, 1)).toBe(2)
    // The label can be loaded again although a thread of its old pool still runs.
    await runtime.models.hotSwapModel({ name: 'gated', newVersion: '1' })
    expect(await ask(runtime, 1)).toBe(1)
  })
})

describe('a swap that fails', () => {
  it('rejects with ERR_VERSION_NOT_FOUND and changes nothing if the model directory has no such version', async () => {
    await shifts(1)
    expect(await errorOf(swapTo('9'))).toMatchObject({
      code: 'ERR_VERSION_NOT_FOUND',
      model: 'm',
      version: '9',
    })
    expect(runtime.models.getModel('m', '9')).toBeUndefined()
    expect(yOf(await runtime.predict('m', { x: 0 }))).toBe(1000)
  })

  it('leaves the active version untouched under load if its file is damaged', async () => {
    const offsets = await shifts(1)
    repository?.write('m', '2', graphs.constantAnswer(2).subarray(0, 60))
    const callers = new Callers(runtime, 'm', offsets)
    callers.start(4)
    await callers.more(10)
    const moves = movesOf(runtime)
    const error = await errorOf(swapTo('2'))
    expect(error).toMatchObject({ code: 'ERR_MODEL_LOAD', model: 'm', version: '2' })
    await callers.more(10)
    await callers.finish()
    expect(moves.filter((move) => move.startsWith('m@1'))).toEqual([])
    expect(runtime.models.getModel('m')).toMatchObject({ version: '1', state: 'running' })
  })

  it('can be repeated when the file is repaired', async () => {
    await shifts(1)
    repository?.write('m', '2', graphs.constantAnswer(2).subarray(0, 60))
    expect(await codeOf(swapTo('2'))).toBe('ERR_MODEL_LOAD')
    repository?.write('m', '2', graphs.constantAnswer(2))
    await swapTo('2')
    expect(yOf(await runtime.predict('m', { x: 0 }))).toBe(2)
  })
})

describe('two swaps of one model at once', () => {
  it('end with the later one; the earlier one is superseded at once', async () => {
    await start()
    const held = gate()
    await loadGated(runtime, '1', { offset: 1 })
    const first = runtime.models.hotSwapModel({
      ...gated({ offset: 2, gate: held, hold: ['load'] }),
      newVersion: '2',
    })
    const superseded = errorOf(first)
    await held.arrival('load')
    const second = runtime.models.hotSwapModel({ ...gated({ offset: 3 }), newVersion: '3' })
    // Rejects before the load that it has begun is over.
    expect(await superseded).toMatchObject({ code: 'ERR_SWAP_SUPERSEDED', model: 'gated', version: '2' })
    expect(await ask(runtime, 0)).toBe(1)
    held.open('load')
    expect(await second).toMatchObject({ from: '1', to: '3' })
    expect(await ask(runtime, 0)).toBe(3)
    await inState(runtime, 'gated', '2', 'stopped')
    await inState(runtime, 'gated', '1', 'stopped')
  })
})

describe('a version on standby', () => {
  it('stays warm after the swap, and a rollback needs no load', async () => {
    const offsets = await shifts(2, { standbyMs: 3_600_000 })
    const swap = await swapTo('2')
    await swap.drained
    expect(stateOf(runtime, 'm', '1')).toBe('ready')
    expect(yOf(await runtime.predict('m', { x: 0 }, { version: '1' }))).toBe(1000)
    const callers = new Callers(runtime, 'm', offsets)
    callers.start(4)
    await callers.more(10)
    const moves = movesOf(runtime)
    expect(await runtime.models.rollback('m')).toMatchObject({ from: '2', to: '1' })
    expect(moves).toEqual(['m@1 ready>starting', 'm@2 running>ready', 'm@1 starting>running'])
    await callers.more(10)
    await callers.finish()
    expect(callers.answered).toBe(callers.submitted)
    expect(await runtime.models.rollback('m')).toMatchObject({ from: '1', to: '2' })
  })

  it('ends its threads when `standbyMs` is over', async () => {
    await shifts(2, { standbyMs: 5 })
    await swapTo('2')
    await inState(runtime, 'm', '1', 'stopped')
    expect(yOf(await runtime.predict('m', { x: 0 }))).toBe(2000)
  })
})
