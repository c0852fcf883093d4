import { describe, expect, it } from 'vitest'
import type { RuntimeOptions } from '../../../src/create-runtime.js'
import { FAILED_START_MS } from '../../../src/pools/replicas/quarantine.js'
import {
  ask,
  codeOf,
  errorOf,
  gated,
  inState,
  loadGated,
  nextMove,
  stateOf,
} from '../../support/runtime-harness.js'
import {
  advance,
  gate,
  runtime,
  start as startPlain,
  useSimulatedRuntime,
} from '../../support/simulated-runtime.js'

useSimulatedRuntime()

/** The minimum that a timer takes: a replica that has no time left is given up after it. */
const TICK_MS = 1

const start = (options: RuntimeOptions = {}) => startPlain({ restartBackoffMs: 1, ...options })

describe('a replica that dies', () => {
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

  it('is replaced for the requests that wait while its version is being drained', async () => {
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
    await advance(1)
    expect(await waiting).toBe(13)
    expect(await swap.drained).toMatchObject({ rejected: 0 })
  })

  it('in the middle of a swap leaves the active version untouched', async () => {
    await start()
    await loadGated(runtime, '1', { offset: 1 })
    const failed = nextMove(runtime, ({ component, to }) => component === 'model gated@2' && to === 'error')
    const swap = runtime.models.hotSwapModel({ ...gated({ load: 'exit' }), newVersion: '2' })
    expect(await codeOf(swap)).toBe('ERR_MODEL_LOAD')
    await failed
    expect(await ask(runtime, 0)).toBe(1)
  })
})

describe('a version whose replicas keep dying', () => {
  async function crashLoop(): Promise<void> {
    await start({ crashBudget: 1 })
    await loadGated(runtime, '1')
    await codeOf(ask(runtime, 1, 'exit'))
    const second = codeOf(ask(runtime, 1, 'exit'))
    await advance(1)
    await second
    await inState(runtime, 'gated', '1', 'error')
  }

  /** One of two replicas runs a request until `held` opens; the other dies, and the budget is spent. */
  async function halfDead(): Promise<{ held: ReturnType<typeof gate>; running: Promise<number> }> {
    await start({ replicas: 2, crashBudget: 0 })
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const running = ask(runtime, 1, 'hold')
    await held.arrival('run')
    await codeOf(ask(runtime, 2, 'exit'))
    await inState(runtime, 'gated', '1', 'error')
    return { held, running }
  }

  it('ends in error, and rejects requests with the reason', async () => {
    await crashLoop()
    const error = await errorOf(ask(runtime, 1))
    expect(error).toMatchObject({
      code: 'ERR_MODEL_UNAVAILABLE',
      retryable: true,
      model: 'gated',
      version: '1',
    })
    expect(error.message).toMatch(/keep dying/)
    expect(runtime.models.listModels()[0]).toMatchObject({
      state: 'error',
      cause: { code: 'ERR_CIRCUIT_OPEN' },
    })
  })

  it('rejects waiting requests with ERR_CIRCUIT_OPEN', async () => {
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

  it('can be swapped for another version, and unloaded after that', async () => {
    await crashLoop()
    await runtime.models.hotSwapModel({ ...gated({ offset: 7 }), newVersion: '2' })
    expect(await ask(runtime, 1)).toBe(8)
    await runtime.models.unloadModel('gated', '1')
    expect(runtime.models.listModels().map(({ version }) => version)).toEqual(['2'])
  })

  it('can be unloaded, and the runtime closed', async () => {
    await crashLoop()
    expect(await runtime.models.unloadModel('gated')).toMatchObject({ name: 'gated' })
    expect(await runtime.close()).toMatchObject({ rejected: 0 })
  })

  it('answers a request that another of its replicas still runs', async () => {
    const { held, running } = await halfDead()
    await advance(1_000)
    held.open('run')
    expect(await running).toBe(1)
  })

  it('is closed within its deadline although another of its replicas still runs', async () => {
    const { running } = await halfDead()
    const code = codeOf(running)
    const closing = runtime.close({ timeoutMs: 20 })
    await advance(20 + TICK_MS)
    expect(await code).toBe('ERR_RUNTIME_CLOSED')
    expect(await closing).toMatchObject({ rejected: 1, stuck: [{ model: 'gated', version: '1' }] })
  })

  it('is closed within its deadline when it was loaded anew and its old pool still runs', async () => {
    const { running } = await halfDead()
    const code = codeOf(running)
    await loadGated(runtime, '1', { offset: 5 })
    const closing = runtime.close({ timeoutMs: 20 })
    await advance(20 + TICK_MS)
    await closing
    expect(await code).toBe('ERR_RUNTIME_CLOSED')
  })
})

describe('a replica that cannot be started', () => {
  it.each([
    ['its loader throws', 'throw' as const, /does not want to/],
    ['its loader ends the thread', 'exit' as const, /exited/],
  ])('because %s fails the load by name', async (_, load, message) => {
    await start()
    const error = await errorOf(loadGated(runtime, '1', { load }))
    expect(error).toMatchObject({ code: 'ERR_MODEL_LOAD', model: 'gated', version: '1' })
    expect(error.message).toMatch(message)
    expect(stateOf(runtime, 'gated', '1')).toBe('error')
    await loadGated(runtime, '2')
    expect(await ask(runtime, 1)).toBe(1)
  })

  it('within loadTimeoutMs fails the load, and the label can be loaded again', async () => {
    await start({ loadTimeoutMs: 30 })
    const held = gate()
    const loading = errorOf(loadGated(runtime, '1', { gate: held, hold: ['load'] }))
    await held.arrival('load')
    await advance(30 + FAILED_START_MS)
    const error = await loading
    expect(error).toMatchObject({ code: 'ERR_MODEL_LOAD', model: 'gated', version: '1' })
    expect(error.message).toContain('30 ms')
    held.openForGood()
    await loadGated(runtime, '1', { offset: 3 })
    expect(await ask(runtime, 1)).toBe(4)
  })
})

describe('a run that does not return', () => {
  it('is given up after stuckAfterMs: its replica is replaced, and the other requests are answered', async () => {
    await start({ stuckAfterMs: 40 })
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const stuck: unknown[] = []
    runtime.on('replicaStuck', (event) => stuck.push(event))
    const lost = errorOf(ask(runtime, 1, 'hold'))
    const waiting = ask(runtime, 2)
    await held.arrival('run')
    await advance(40 + TICK_MS)
    expect(await lost).toMatchObject({
      code: 'ERR_REPLICA_STUCK',
      model: 'gated',
      version: '1',
      retryable: true,
    })
    expect(await waiting).toBe(2)
    expect(stuck).toMatchObject([{ model: 'gated', version: '1', threadId: expect.any(Number) }])
    expect(runtime.models.getModel('gated')?.stats().pool).toMatchObject({ quarantined: 1, replicas: 1 })
  })

  it('is named in the report of an unload', async () => {
    await start({ stuckAfterMs: 40 })
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const lost = codeOf(ask(runtime, 1, 'hold'))
    await held.arrival('run')
    await advance(40 + TICK_MS)
    expect(await lost).toBe('ERR_REPLICA_STUCK')
    expect(await runtime.models.unloadModel('gated')).toMatchObject({
      rejected: 0,
      stuck: [{ model: 'gated' }],
    })
  })
})
