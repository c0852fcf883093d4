import { describe, expect, it } from 'vitest'
import type { RuntimeOptions } from '../../../../src/create-runtime.js'
import type { Transition } from '../../../../src/lifecycle/state-machine.js'
import type { SwapResult } from '../../../../src/models/rollout/hot-swap.js'
import {
  ask,
  Callers,
  codeOf,
  errorOf,
  gated,
  inState,
  loadGated,
  movesOf,
  settle,
  stateOf,
  yOf,
} from '../../../support/runtime-harness.js'
import { adding, damaged } from '../../../support/simulated-loaders.js'
import {
  advance,
  gate,
  machine,
  runtime,
  start,
  useSimulatedRuntime,
} from '../../../support/simulated-runtime.js'

useSimulatedRuntime()

const fileOf = (version: string, name = 'm'): string => `/models/${name}/${version}/model.onnx`

/** Writes `count` versions of m, each of which adds its number times 1000; 1 is active. */
async function shifts(count: number, options: RuntimeOptions = {}): Promise<Record<string, number>> {
  const labels = Array.from({ length: count }, (_, i) => String(i + 1))
  for (const label of labels) machine.write(fileOf(label), adding(Number(label) * 1000))
  await start({ modelDir: '/models', models: [{ name: 'm', version: '1' }], ...options })
  return Object.fromEntries(labels.map((label) => [label, Number(label) * 1000]))
}

const swapTo = (newVersion: string, more: object = {}): Promise<SwapResult> =>
  runtime.models.hotSwapModel({ name: 'm', newVersion, ...more })

describe('a hot swap', () => {
  it('loses no request, and the version that was active at its arrival runs each', async () => {
    const offsets = await shifts(4, { replicas: 2 })
    const callers = new Callers(runtime, 'm', offsets)
    callers.start(16)
    const drained: Promise<unknown>[] = []
    const order = ['2', '3', '1', '4', '2', '1', '3', '4']
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

  it('loses no request when swaps follow each other without waiting, and every swap settles', async () => {
    const offsets = await shifts(4)
    const callers = new Callers(runtime, 'm', offsets)
    callers.start(8)
    const swaps: Promise<SwapResult>[] = []
    for (let round = 0; round < 12; round += 1) {
      const swap = swapTo(String((round % 4) + 1))
      // The rejection is checked at the end.
      swap.catch(() => undefined)
      swaps.push(swap)
      await callers.more(3)
    }
    const outcomes = await Promise.allSettled(swaps)
    await callers.finish()
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') {
        expect(outcome.reason.code).toMatch(/ERR_SWAP_SUPERSEDED|ERR_ALREADY_ACTIVE/)
      } else await outcome.value.drained
    }
    const last = outcomes.findLast((one) => one.status === 'fulfilled')
    expect(runtime.models.getModel('m')?.version).toBe(last?.value.to)
  })

  it('completes while versions are evicted and requests arrive for cold ones', async () => {
    const offsets = await shifts(2)
    const callers = new Callers(runtime, 'm', offsets)
    callers.start(4)
    for (let round = 0; round < 6; round += 1) {
      await Promise.all([
        swapTo(round % 2 === 0 ? '2' : '1'),
        runtime.models.cleanupUnusedModels({ maxAgeMs: 0 }),
        callers.more(10),
      ])
    }
    await callers.finish()
    expect(callers.answered).toBe(callers.submitted)
  })

  it('resolves with both versions, and drains the old one', async () => {
    await shifts(2)
    const swap = await swapTo('2')
    expect(swap).toMatchObject({ name: 'm', from: '1', to: '2' })
    expect(yOf(await runtime.predict('m', { x: 1 }))).toBe(2001)
    expect(await swap.drained).toEqual({
      name: 'm',
      version: '1',
      durationMs: expect.any(Number),
      rejected: 0,
      stuck: [],
    })
    expect(stateOf(runtime, 'm', '1')).toBe('stopped')
    expect(runtime.models.getModel('m', '1')?.stats().pool).toBeUndefined()
  })

  it('emits its events in order: stopping before the promotion, running after it', async () => {
    await shifts(2)
    const seen: string[] = []
    const active = (): string => `(active ${runtime.models.getModel('m')?.version})`
    runtime.on('transition', ({ component, to }) => seen.push(`${component} ${to} ${active()}`))
    runtime.on('promoted', (promotion) => seen.push(`promoted ${JSON.stringify(promotion)} ${active()}`))
    const swap = await swapTo('2')
    await swap.drained
    expect(seen).toEqual([
      'model m@2 initializing (active 1)',
      'model m@2 ready (active 1)',
      'model m@2 starting (active 1)',
      'model m@1 stopping (active 1)',
      'model m@2 running (active 2)',
      'promoted {"model":"m","from":"1","to":"2"} (active 2)',
      'model m@1 stopped (active 2)',
    ])
  })

  it('sends a request that a listener makes to the version that is active at that moment', async () => {
    await shifts(2)
    const outputs: Promise<string>[] = []
    const predict = ({ component, to }: Transition): void => {
      const y = runtime.predict('m', { x: 0 }).then(yOf)
      outputs.push(y.then((value) => `${component} ${to}: ${value}`))
    }
    runtime.on('transition', predict)
    await (await swapTo('2')).drained
    runtime.off('transition', predict)
    expect(await Promise.all(outputs)).toEqual([
      'model m@2 initializing: 1000',
      'model m@2 ready: 1000',
      'model m@2 starting: 1000',
      'model m@1 stopping: 1000',
      'model m@2 running: 2000',
      'model m@1 stopped: 2000',
    ])
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
    // The new version waits for what the old one has queued, but not for a run that does not return.
    await settle()
    expect(runtime.models.getModel('gated')?.stats()).toMatchObject({ inFlight: 0, queued: 1 })
    await advance(1_000)
    expect(await after).toBe(205)
    expect(stateOf(runtime, 'gated', '1')).toBe('stopping')
    expect(runtime.models.getModel('gated', '1')?.stats()).toMatchObject({ inFlight: 1, queued: 3 })
    held.open('run')
    expect(await Promise.all([running, ...queued])).toEqual([101, 102, 103, 104])
    expect(await swap.drained).toMatchObject({ version: '1', rejected: 0 })
  })

  it('resolves before the old version is drained', async () => {
    await start()
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const running = ask(runtime, 1, 'hold')
    await held.arrival('run')
    const swap = await runtime.models.hotSwapModel({ ...gated(), newVersion: '2' })
    let isDrained = false
    const drained = swap.drained.then(() => {
      isDrained = true
    })
    await settle()
    expect(isDrained).toBe(false)
    held.open('run')
    expect(await running).toBe(1)
    await drained
    expect(stateOf(runtime, 'gated', '1')).toBe('stopped')
  })

  it('rejects waiting requests and reports the stuck replica when the drain takes too long', async () => {
    await start({ drainTimeoutMs: 30 })
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const late = errorOf(ask(runtime, 1, 'hold'))
    await held.arrival('run')
    const swap = await runtime.models.hotSwapModel({ ...gated({ offset: 1 }), newVersion: '2' })
    await advance(30)
    expect(await late).toMatchObject({ code: 'ERR_DRAIN_TIMEOUT', model: 'gated', version: '1' })
    await advance(1_000)
    expect(await swap.drained).toMatchObject({ rejected: 1, stuck: [{ model: 'gated', version: '1' }] })
    expect(await ask(runtime, 1)).toBe(2)
    // The label can be loaded again although a thread of its old pool still runs.
    await runtime.models.hotSwapModel({ name: 'gated', newVersion: '1' })
    expect(await ask(runtime, 1)).toBe(1)
  })

  it('promotes a version that is ready without a load', async () => {
    await shifts(2)
    await runtime.models.loadModel({ name: 'm', version: '2' })
    const moves = movesOf(runtime)
    await (await swapTo('2')).drained
    expect(moves).toEqual([
      'm@2 ready>starting',
      'm@1 running>stopping',
      'm@2 starting>running',
      'm@1 stopping>stopped',
    ])
  })

  it('waits for a version that drains, and loads it again', async () => {
    await start()
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const running = ask(runtime, 1, 'hold')
    await held.arrival('run')
    await runtime.models.hotSwapModel({ ...gated({ offset: 1 }), newVersion: '2' })
    const back = runtime.models.hotSwapModel({ name: 'gated', newVersion: '1' })
    await settle()
    expect(await ask(runtime, 1)).toBe(2)
    held.open('run')
    expect(await running).toBe(1)
    expect(await back).toMatchObject({ from: '2', to: '1' })
    expect(await ask(runtime, 1)).toBe(1)
  })

  it('replaces an active version that is cold', async () => {
    await shifts(2)
    await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
    const swap = await swapTo('2')
    expect(swap).toMatchObject({ from: '1', to: '2' })
    await swap.drained
    expect(yOf(await runtime.predict('m', { x: 0 }))).toBe(2000)
  })

  it('is what loadModel with promote performs', async () => {
    const offsets = await shifts(2)
    const callers = new Callers(runtime, 'm', offsets)
    callers.start(4)
    await callers.more(10)
    const handle = await runtime.models.loadModel({
      name: 'm',
      version: '2',
      source: fileOf('2'),
      promote: true,
    })
    expect(handle).toMatchObject({ version: '2', state: 'running' })
    await callers.more(10)
    await callers.finish()
    expect(runtime.models.getModel('m')?.version).toBe('2')
  })

  it('follows when loadModel with promote is called while the first version still loads', async () => {
    await start()
    const [first, second] = await Promise.all([
      loadGated(runtime, '1', { offset: 1 }),
      runtime.models.loadModel({ ...gated({ offset: 2 }), version: '2', promote: true }),
    ])
    expect([first.version, second.version]).toEqual(['1', '2'])
    expect(runtime.models.getModel('gated')?.version).toBe('2')
    expect(await ask(runtime, 0)).toBe(2)
  })
})

describe('a promoted swap', () => {
  it.each([
    ['parallel', 'promoted'],
    ['parallel', 'transition'],
    ['resource-preserving', 'promoted'],
    ['resource-preserving', 'transition'],
  ] as const)('resolves when a listener starts the next swap (%s, %s)', async (swapStrategy, event) => {
    await shifts(3, { swapStrategy })
    const next: Promise<SwapResult>[] = []
    const listen = (payload: { to: string; component?: string }): void => {
      const isPromotion =
        event === 'promoted' || (payload.component === 'model m@2' && payload.to === 'running')
      if (isPromotion && next.length === 0) next.push(swapTo('3'))
    }
    runtime.on(event, listen)
    const swap = await swapTo('2')
    expect(swap).toMatchObject({ from: '1', to: '2' })
    expect(await next[0]).toMatchObject({ from: '2', to: '3' })
    await swap.drained
    expect(yOf(await runtime.predict('m', { x: 0 }))).toBe(3000)
  })

  it('resolves when a resource-preserving swap is followed by another one before its promotion', async () => {
    await shifts(3, { swapStrategy: 'resource-preserving' })
    const first = swapTo('2')
    await inState(runtime, 'm', '2', 'initializing')
    const second = swapTo('3')
    expect(await first).toMatchObject({ from: '1', to: '2' })
    expect(await second).toMatchObject({ from: '2', to: '3' })
  })

  it('resolves when a listener closes the runtime', async () => {
    await shifts(2)
    let closing: Promise<unknown> | undefined
    runtime.once('promoted', () => {
      closing = runtime.close()
    })
    const swap = await swapTo('2')
    expect(swap).toMatchObject({ from: '1', to: '2' })
    expect(await swap.drained).toMatchObject({ version: '1', rejected: 0 })
    await closing
  })

  it('resolves when a listener unloads the model, and so does a load', async () => {
    await start()
    const unloads: Promise<unknown>[] = []
    runtime.on('promoted', () => unloads.push(runtime.models.unloadModel('gated')))
    const handle = await loadGated(runtime, '1')
    expect(handle.version).toBe('1')
    await unloads[0]
    expect(handle.state).toBe('stopped')
  })
})

describe('a swap that fails', () => {
  it('rejects with ERR_ALREADY_ACTIVE if its version is active', async () => {
    await shifts(2)
    expect(await errorOf(swapTo('1'))).toMatchObject({ code: 'ERR_ALREADY_ACTIVE', model: 'm', version: '1' })
    expect(yOf(await runtime.predict('m', { x: 0 }))).toBe(1000)
  })

  it('rejects at once with ERR_VERSION_CONFLICT if another version than `oldVersion` is active', async () => {
    await shifts(3)
    const moves = movesOf(runtime)
    const error = await errorOf(swapTo('3', { oldVersion: '2' }))
    expect(error).toMatchObject({ code: 'ERR_VERSION_CONFLICT', model: 'm', version: '3' })
    expect(error.message).toMatch(/version 2.*1 is active/)
    expect(moves).toEqual([])
    await swapTo('3', { oldVersion: '1' })
    expect(runtime.models.getModel('m')?.version).toBe('3')
  })

  it('rejects with ERR_VERSION_NOT_FOUND and changes nothing if there is no such version', async () => {
    await shifts(1)
    expect(await errorOf(swapTo('9'))).toMatchObject({
      code: 'ERR_VERSION_NOT_FOUND',
      model: 'm',
      version: '9',
    })
    expect(runtime.models.getModel('m', '9')).toBeUndefined()
    expect(yOf(await runtime.predict('m', { x: 0 }))).toBe(1000)
  })

  it.each([
    ['its file is damaged', damaged, {}, 'ERR_MODEL_LOAD'],
    ['its warm-up fails', adding(2), { sample: { input: { x: 1 }, output: { y: [9] } } }, 'ERR_WARMUP'],
    ['its signature differs', adding(0, ['a', 'b']), {}, 'ERR_SIGNATURE_MISMATCH'],
  ])('leaves the active version untouched under load if %s', async (_, model, config, code) => {
    const offsets = await shifts(1)
    machine.write(fileOf('2'), model)
    const callers = new Callers(runtime, 'm', offsets)
    callers.start(4)
    await callers.more(10)
    const moves = movesOf(runtime)
    const error = await errorOf(swapTo('2', { config }))
    expect(error).toMatchObject({ code, model: 'm', version: '2' })
    await callers.more(10)
    await callers.finish()
    expect(moves.filter((move) => move.startsWith('m@1'))).toEqual([])
    expect(runtime.models.getModel('m')).toMatchObject({ version: '1', state: 'running' })
  })

  it('ends the threads it has loaded if its signature differs', async () => {
    await shifts(1)
    machine.write(fileOf('2'), adding(0, ['a', 'b']))
    await codeOf(swapTo('2'))
    await inState(runtime, 'm', '2', 'stopped')
    expect(runtime.models.getModel('m', '2')?.stats().pool).toBeUndefined()
  })

  it('leaves a version ready that was ready before if its signature differs', async () => {
    await shifts(1)
    machine.write(fileOf('2'), adding(0, ['a', 'b']))
    await runtime.models.loadModel({ name: 'm', version: '2' })
    expect(await codeOf(swapTo('2'))).toBe('ERR_SIGNATURE_MISMATCH')
    await settle()
    expect(stateOf(runtime, 'm', '2')).toBe('ready')
  })

  it('can be repeated when the reason is gone', async () => {
    await shifts(1)
    machine.write(fileOf('2'), damaged)
    expect(await codeOf(swapTo('2'))).toBe('ERR_MODEL_LOAD')
    machine.write(fileOf('2'), adding(2))
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

  it('never promote the superseded version, and no request reaches it', async () => {
    const offsets = await shifts(3)
    const promoted: string[] = []
    runtime.on('promoted', ({ to }) => promoted.push(to))
    const callers = new Callers(runtime, 'm', offsets)
    callers.start(4)
    const [first, second] = [swapTo('2'), swapTo('3')]
    expect(await codeOf(first)).toBe('ERR_SWAP_SUPERSEDED')
    await second
    await callers.more(20)
    await callers.finish()
    expect(promoted).toEqual(['3'])
    expect([...callers.answeredBy.keys()]).not.toContain('2')
  })

  it('do not affect each other if their models are different', async () => {
    const names = ['a', 'b']
    for (const [index, name] of names.entries()) {
      machine.write(fileOf('1', name), adding(2 * index + 1))
      machine.write(fileOf('2', name), adding(2 * index + 2))
    }
    await start({ modelDir: '/models', models: names.map((name) => ({ name, version: '1' })) })
    await Promise.all(names.map((name) => runtime.models.hotSwapModel({ name, newVersion: '2' })))
    expect(yOf(await runtime.predict('a', { x: 0 }))).toBe(2)
    expect(yOf(await runtime.predict('b', { x: 0 }))).toBe(4)
  })

  it('leave the version active if it is the same one', async () => {
    await shifts(2)
    const outcomes = await Promise.allSettled([swapTo('2'), swapTo('2')])
    expect(outcomes[0]).toMatchObject({ status: 'rejected', reason: { code: 'ERR_SWAP_SUPERSEDED' } })
    expect(outcomes[1]).toMatchObject({ status: 'fulfilled', value: { from: '1', to: '2' } })
    expect(yOf(await runtime.predict('m', { x: 0 }))).toBe(2000)
  })

  it('complete only one of them if both expect the same `oldVersion`', async () => {
    await shifts(3)
    const outcomes = await Promise.allSettled([
      swapTo('2', { oldVersion: '1' }),
      swapTo('3', { oldVersion: '1' }),
    ])
    expect(outcomes.filter((one) => one.status === 'fulfilled')).toHaveLength(1)
  })

  it('leave no request unanswered while the old version is unloaded', async () => {
    const offsets = await shifts(2)
    const callers = new Callers(runtime, 'm', offsets)
    callers.start(4)
    await callers.more(10)
    const swap = swapTo('2')
    const unload = runtime.models.unloadModel('m', '1')
    await Promise.all([swap, unload])
    await callers.more(10)
    await callers.finish()
    expect(callers.answered).toBe(callers.submitted)
    expect(runtime.models.listModels().map((one) => one.version)).toEqual(['2'])
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

  it('is drained when its last request completes', async () => {
    await start({ standbyMs: 3_600_000 })
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const running = ask(runtime, 1, 'hold')
    await held.arrival('run')
    const swap = await runtime.models.hotSwapModel({ ...gated(), newVersion: '2' })
    let isDrained = false
    const drained = swap.drained.then(() => {
      isDrained = true
    })
    await settle()
    expect(isDrained).toBe(false)
    held.open('run')
    await running
    await drained
    expect(stateOf(runtime, 'gated', '1')).toBe('ready')
  })

  it('ends its threads when `standbyMs` is over', async () => {
    await shifts(2, { standbyMs: 5 })
    await swapTo('2')
    await advance(4)
    expect(stateOf(runtime, 'm', '1')).toBe('ready')
    await advance(1)
    expect(stateOf(runtime, 'm', '1')).toBe('stopped')
    expect(yOf(await runtime.predict('m', { x: 0 }))).toBe(2000)
  })

  it('keeps its threads past the first `standbyMs` after a rollback to it', async () => {
    await shifts(2, { standbyMs: 40 })
    await swapTo('2')
    await advance(20)
    await runtime.models.rollback('m')
    await advance(40)
    expect(stateOf(runtime, 'm', '2')).toBe('stopped')
    expect(stateOf(runtime, 'm', '1')).toBe('running')
    expect(yOf(await runtime.predict('m', { x: 0 }))).toBe(1000)
  })

  it('is loaded again by a rollback if it is stopped', async () => {
    await shifts(2)
    await (await swapTo('2')).drained
    expect(await runtime.models.rollback('m')).toMatchObject({ from: '2', to: '1' })
    expect(yOf(await runtime.predict('m', { x: 0 }))).toBe(1000)
  })

  it('cannot be rolled back to if there was none', async () => {
    await shifts(1)
    expect(await errorOf(runtime.models.rollback('m'))).toMatchObject({
      code: 'ERR_VERSION_NOT_FOUND',
      model: 'm',
    })
  })

  it('cannot be rolled back to after it was unloaded', async () => {
    await shifts(2)
    await (await swapTo('2')).drained
    await runtime.models.unloadModel('m', '1')
    expect(await codeOf(runtime.models.rollback('m'))).toBe('ERR_VERSION_NOT_FOUND')
    expect(yOf(await runtime.predict('m', { x: 0 }))).toBe(2000)
  })
})

describe('requests for a cold version', () => {
  it('are run by it although it is no longer active once it is loaded', async () => {
    await start()
    const held = gate()
    held.open('load')
    await loadGated(runtime, '1', { offset: 1, gate: held, hold: ['load'] })
    await loadGated(runtime, '2', { offset: 2 })
    await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
    // Admitted while 1 was active; the swap waits behind the load they have caused.
    const admitted = [ask(runtime, 10), ask(runtime, 20)]
    await held.arrival('load', 2)
    const swap = runtime.models.hotSwapModel({ name: 'gated', newVersion: '2' })
    held.open('load')
    expect(await Promise.all(admitted)).toEqual([11, 21])
    expect(await swap).toMatchObject({ from: '1', to: '2' })
    expect(await ask(runtime, 10)).toBe(12)
  })

  it('are run by it although a swap came before its load, and it goes cold again', async () => {
    await start()
    const held = gate()
    await loadGated(runtime, '1', { offset: 1 })
    await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
    const swap = runtime.models.hotSwapModel({
      ...gated({ offset: 2, gate: held, hold: ['load'] }),
      newVersion: '2',
    })
    await held.arrival('load')
    const admitted = [ask(runtime, 10), ask(runtime, 20)]
    held.open('load')
    await swap
    expect(await Promise.all(admitted)).toEqual([11, 21])
    await inState(runtime, 'gated', '1', 'stopped')
    expect(await ask(runtime, 10)).toBe(12)
  })
})
