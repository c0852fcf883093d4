import type { Runtime, RuntimeOptions } from 'tbcoin-engine'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { cleanUp, gate, runtime, start as startPlain } from '../support/gated-runtime.js'
import {
  ask,
  codeOf,
  errorOf,
  gated,
  inState,
  loadGated,
  nextMove,
  settle,
  stateOf,
} from '../support/runtime-harness.js'

const uncaught: unknown[] = []
const note = (error: unknown): void => {
  uncaught.push(error)
}

const start = (options: RuntimeOptions = {}): Promise<Runtime> =>
  startPlain({ restartBackoffMs: 1, ...options })

beforeEach(() => {
  uncaught.length = 0
  // What would end the host's process; Vitest's own listeners would only count it.
  process.prependListener('uncaughtException', note)
  process.prependListener('unhandledRejection', note)
})

afterEach(async () => {
  await cleanUp()
  await settle()
  process.off('uncaughtException', note)
  process.off('unhandledRejection', note)
  expect(uncaught).toEqual([])
})

describe('a replica whose thread dies', () => {
  it('rejects the request it ran, is replaced, and the others are answered', async () => {
    await start({ replicas: 2 })
    await loadGated(runtime, '1')
    const exits: unknown[] = []
    runtime.on('replicaExited', (exit) => exits.push(exit))
    const outcomes = await Promise.all(
      Array.from({ length: 40 }, (_, x) => (x === 7 ? codeOf(ask(runtime, x, 'exit')) : ask(runtime, x))),
    )
    expect(outcomes).toEqual(Array.from({ length: 40 }, (_, x) => (x === 7 ? 'ERR_REPLICA_EXITED' : x)))
    expect(exits).toEqual([
      {
        model: 'gated',
        version: '1',
        cause: expect.objectContaining({ code: 'ERR_REPLICA_EXITED' }),
        restartInMs: 1,
      },
    ])
    expect(stateOf(runtime, 'gated', '1')).toBe('running')
  })

  it('is replaced before it is needed again when it was idle', async () => {
    await start()
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const exited = new Promise((resolve) => runtime.once('replicaExited', resolve))
    expect(await ask(runtime, 1, 'exit-later')).toBe(1)
    held.open('run')
    await exited
    expect(await ask(runtime, 2)).toBe(2)
    expect(runtime.models.getModel('gated')?.stats().pool).toMatchObject({ replicas: 1, restarts: 1 })
  })

  it('by an error that nobody caught names it', async () => {
    await start()
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const exited = new Promise<{ cause: Error }>((resolve) => runtime.once('replicaExited', resolve))
    await ask(runtime, 1, 'crash-later')
    held.open('run')
    expect((await exited).cause.message).toContain('nobody caught this')
    expect(await ask(runtime, 2)).toBe(2)
  })

  it('while its version is being drained is replaced for those who wait', async () => {
    await start()
    const held = gate()
    await loadGated(runtime, '1', { gate: held, offset: 10 })
    const first = ask(runtime, 1, 'hold')
    const [dying, waiting] = [codeOf(ask(runtime, 2, 'exit')), ask(runtime, 3)]
    await held.arrival('run')
    const swap = await runtime.models.hotSwapModel({ ...gated({ offset: 20 }), newVersion: '2' })
    held.open('run')
    expect(await first).toBe(11)
    expect(await dying).toBe('ERR_REPLICA_EXITED')
    expect(await waiting).toBe(13)
    expect(await swap.drained).toMatchObject({ rejected: 0 })
  })
})

describe('a version whose replicas keep dying', () => {
  async function crashLoop(options: RuntimeOptions = {}): Promise<void> {
    await start({ crashBudget: 1, ...options })
    await loadGated(runtime, '1')
    await codeOf(ask(runtime, 1, 'exit'))
    await codeOf(ask(runtime, 1, 'exit'))
    await inState(runtime, 'gated', '1', 'error')
  }

  it('ends in error with the reason, and says so to callers', async () => {
    await crashLoop()
    const error = await errorOf(ask(runtime, 1))
    expect(error.code).toMatch(/ERR_MODEL_UNAVAILABLE|ERR_CIRCUIT_OPEN/)
    expect(error).toMatchObject({ retryable: true, model: 'gated', version: '1' })
    expect(error.message).toMatch(/keep dying/)
    expect(runtime.models.listModels()[0]).toMatchObject({
      state: 'error',
      cause: { code: 'ERR_CIRCUIT_OPEN' },
    })
  })

  it('rejects those who wait with ERR_CIRCUIT_OPEN', async () => {
    await start({ crashBudget: 0 })
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const running = ask(runtime, 1, 'hold')
    const [dying, waiting] = [codeOf(ask(runtime, 2, 'exit')), codeOf(ask(runtime, 3))]
    await held.arrival('run')
    held.open('run')
    expect(await running).toBe(1)
    expect(await dying).toBe('ERR_REPLICA_EXITED')
    expect(await waiting).toBe('ERR_CIRCUIT_OPEN')
  })

  it('does not end the process when a second replica dies after the budget is spent', async () => {
    await start({ replicas: 2, crashBudget: 0 })
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const dying = [codeOf(ask(runtime, 1, 'hold-exit')), codeOf(ask(runtime, 2, 'hold-exit'))]
    await held.arrival('run', 2)
    held.open('run', 2)
    expect(await Promise.all(dying)).toEqual(['ERR_REPLICA_EXITED', 'ERR_REPLICA_EXITED'])
    await inState(runtime, 'gated', '1', 'error')
    await settle()
    expect(uncaught).toEqual([])
  })

  it('can be loaded again', async () => {
    await crashLoop()
    await loadGated(runtime, '1', { offset: 5 })
    expect(await ask(runtime, 1)).toBe(6)
    expect(stateOf(runtime, 'gated', '1')).toBe('running')
  })

  it('can be swapped for itself, loaded anew', async () => {
    await crashLoop()
    const swap = await runtime.models.hotSwapModel({ ...gated({ offset: 5 }), newVersion: '1' })
    expect(swap.to).toBe('1')
    expect(await ask(runtime, 1)).toBe(6)
  })

  it('can be swapped for another', async () => {
    await crashLoop()
    await runtime.models.hotSwapModel({ ...gated({ offset: 7 }), newVersion: '2' })
    expect(await ask(runtime, 1)).toBe(8)
    await runtime.models.unloadModel('gated', '1')
    expect(runtime.models.listModels().map((one) => one.version)).toEqual(['2'])
  })

  it('can be unloaded and closed', async () => {
    await crashLoop()
    expect(await runtime.models.unloadModel('gated')).toMatchObject({ name: 'gated' })
    expect(await runtime.close()).toMatchObject({ rejected: 0 })
  })

  it('answers a request that another of its replicas still runs', async () => {
    await start({ replicas: 2, crashBudget: 0 })
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const running = ask(runtime, 1, 'hold')
    await held.arrival('run')
    await codeOf(ask(runtime, 2, 'exit'))
    await inState(runtime, 'gated', '1', 'error')
    held.open('run')
    expect(await running).toBe(1)
  })

  it('is closed within its deadline although another of its replicas still runs', async () => {
    await start({ replicas: 2, crashBudget: 0 })
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const running = codeOf(ask(runtime, 1, 'hold'))
    await held.arrival('run')
    await codeOf(ask(runtime, 2, 'exit'))
    await inState(runtime, 'gated', '1', 'error')
    const report = await runtime.close({ timeoutMs: 20 })
    expect(await running).toBe('ERR_RUNTIME_CLOSED')
    expect(report).toMatchObject({ rejected: 1, stuck: [{ model: 'gated', version: '1' }] })
  }, 10_000)

  it('that was loaded anew is closed within its deadline although its old pool still runs', async () => {
    await start({ replicas: 2, crashBudget: 0 })
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const running = codeOf(ask(runtime, 1, 'hold'))
    await held.arrival('run')
    await codeOf(ask(runtime, 2, 'exit'))
    await inState(runtime, 'gated', '1', 'error')
    await loadGated(runtime, '1', { offset: 5 })
    await runtime.close({ timeoutMs: 20 })
    expect(await running).toMatch(/^ERR_/)
  }, 10_000)
})

describe('a replica that cannot be started', () => {
  it.each([
    ['its loader throws', { load: 'throw' as const }, 'ERR_MODEL_LOAD', /does not want to/],
    [
      'its loader ends the thread',
      { load: 'exit' as const },
      /ERR_MODEL_LOAD|ERR_REPLICA_EXITED/,
      /gone|exited/,
    ],
  ])('because %s fails the load by name', async (_, options, code, told) => {
    await start()
    const error = await errorOf(loadGated(runtime, '1', options))
    expect(error.code).toMatch(code)
    expect(error).toMatchObject({ model: 'gated', version: '1' })
    expect(error.message).toMatch(told)
    expect(stateOf(runtime, 'gated', '1')).toBe('error')
    await loadGated(runtime, '2')
    expect(await ask(runtime, 1)).toBe(1)
  })

  it('because its thread cannot be made fails the load and hurts nobody else', async () => {
    await start({ replicaExecArgv: ['--no-such-option-of-node'] })
    const error = await errorOf(loadGated(runtime, '1'))
    expect(error).toMatchObject({ code: expect.stringMatching(/^ERR_/), model: 'gated', version: '1' })
    await runtime.close()
    await settle()
    expect(uncaught).toEqual([])
  })

  it('because its entry is not there fails the load', async () => {
    await start({ replicaEntry: '/no/such/entry.js' })
    expect(await errorOf(loadGated(runtime, '1'))).toMatchObject({
      model: 'gated',
      code: expect.stringMatching(/^ERR_/),
    })
  })

  it('because it takes too long fails the load, and the label can be loaded again', async () => {
    await start({ loadTimeoutMs: 30 })
    const held = gate()
    const error = await errorOf(loadGated(runtime, '1', { gate: held, hold: ['load'] }))
    expect(error).toMatchObject({ code: 'ERR_MODEL_LOAD', model: 'gated', version: '1' })
    expect(error.message).toContain('30 ms')
    held.openForGood()
  })
})

describe('a run that does not return', () => {
  it('is given up after stuckAfterMs, its replica replaced, and everybody else answered', async () => {
    await start({ stuckAfterMs: 40 })
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const stuck = new Promise((resolve) => runtime.once('replicaStuck', resolve))
    const lost = errorOf(ask(runtime, 1, 'hold'))
    const waiting = ask(runtime, 2)
    expect(await lost).toMatchObject({
      code: 'ERR_REPLICA_STUCK',
      model: 'gated',
      version: '1',
      retryable: true,
    })
    expect(await stuck).toMatchObject({ model: 'gated', version: '1', threadId: expect.any(Number) })
    expect(await waiting).toBe(2)
    expect(runtime.models.getModel('gated')?.stats().pool).toMatchObject({ quarantined: 1, replicas: 1 })
    held.openForGood()
  })

  it('is told in the report of an unload', async () => {
    await start({ stuckAfterMs: 40 })
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    await codeOf(ask(runtime, 1, 'hold'))
    expect(await runtime.models.unloadModel('gated')).toMatchObject({
      rejected: 0,
      stuck: [{ model: 'gated' }],
    })
    held.openForGood()
  })
})

it('a death in the middle of a swap leaves the active version untouched', async () => {
  await start()
  await loadGated(runtime, '1', { offset: 1 })
  const moved = nextMove(runtime, ({ component, to }) => component === 'model gated@2' && to === 'error')
  const swap = runtime.models.hotSwapModel({ ...gated({ load: 'exit' }), newVersion: '2' })
  expect(await codeOf(swap)).toMatch(/ERR_MODEL_LOAD|ERR_REPLICA_EXITED/)
  await moved
  expect(await ask(runtime, 0)).toBe(1)
})
