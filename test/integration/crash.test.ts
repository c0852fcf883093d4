import type { Runtime, RuntimeOptions } from 'tbcoin-engine'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { cleanUp, gate, runtime, start as startPlain } from '../support/gated-runtime.js'
import { ask, codeOf, errorOf, inState, loadGated, settle, stateOf } from '../support/runtime-harness.js'

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

describe('a thread that dies', () => {
  it('rejects the request it ran, is replaced, and the other requests are answered', async () => {
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

  it('between two requests is replaced before the next one', async () => {
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

  it('by an error that no code caught is reported with that error', async () => {
    await start()
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const exited = new Promise<{ cause: Error }>((resolve) => runtime.once('replicaExited', resolve))
    await ask(runtime, 1, 'crash-later')
    held.open('run')
    expect((await exited).cause.message).toContain('nobody caught this')
    expect(await ask(runtime, 2)).toBe(2)
  })
})

describe('a version whose replicas keep dying', () => {
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
})

describe('a replica that cannot be started', () => {
  it('because its loader ends the thread fails the load by name', async () => {
    await start()
    const error = await errorOf(loadGated(runtime, '1', { load: 'exit' }))
    expect(error).toMatchObject({ code: 'ERR_MODEL_LOAD', model: 'gated', version: '1' })
    expect(error.message).toMatch(/exited/)
    expect(stateOf(runtime, 'gated', '1')).toBe('error')
    await loadGated(runtime, '2')
    expect(await ask(runtime, 1)).toBe(1)
  })

  it('because its thread cannot be made fails the load, and the runtime can be closed', async () => {
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
})

describe('a run that does not return', () => {
  it('is given up after stuckAfterMs: its thread is replaced, and the other requests are answered', async () => {
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
})
