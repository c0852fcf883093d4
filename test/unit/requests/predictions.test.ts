import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, expect, it } from 'vitest'
import type { RuntimeOptions } from '../../../src/create-runtime.js'
import type { RequestSnapshot } from '../../../src/requests/request-snapshot.js'
import { RequestTracker } from '../../../src/requests/request-tracker.js'
import type { Runtime } from '../../../src/runtime.js'
import { ask, codeOf, gated, loadGated, settle } from '../../support/runtime-harness.js'
import type { SimulatedGate } from '../../support/simulated-gate.js'
import {
  advance,
  gate as newGate,
  runtime,
  start as startPlain,
  useSimulatedRuntime,
} from '../../support/simulated-runtime.js'

useSimulatedRuntime()

let gate: SimulatedGate

async function start(options: RuntimeOptions = {}, hold: readonly 'load'[] = []): Promise<Runtime> {
  gate = newGate()
  await startPlain({ restartBackoffMs: 1, ...options })
  if (hold.length > 0) gate.open('load')
  await loadGated(runtime, '1', { gate, hold })
  return runtime
}

/** Returns every state of every request from now on, as `1 queued`. */
function statesFrom(): string[] {
  const states: string[] = []
  const note = ({ id, state }: RequestSnapshot): void => void states.push(`${id} ${state}`)
  runtime.requests.on('received', note).on('transition', note)
  return states
}

/** Returns the request that settled last. */
function last(): RequestSnapshot | undefined {
  return runtime.requests.recent(1)[0]
}

describe('a prediction', () => {
  it('is received, queued, running and completed, and has the time of each state', async () => {
    await start()
    const states = statesFrom()
    const outputs = [ask(runtime, 1, 'hold'), ask(runtime, 2)]
    await gate.arrival('run')
    expect(states).toEqual(['1 received', '1 queued', '2 received', '2 queued', '1 running'])
    expect(runtime.requests.active()).toMatchObject([
      { id: 1, kind: 'predict', model: 'gated', version: '1', state: 'running' },
      { id: 2, kind: 'predict', model: 'gated', version: '1', state: 'queued', runningMs: 0 },
    ])
    await advance(5)
    gate.open('run')
    expect(await Promise.all(outputs)).toEqual([1, 2])
    expect(states.slice(5)).toEqual(['2 running', '1 completed', '2 completed'])
    expect(runtime.requests.active()).toEqual([])
    const [second, first] = runtime.requests.recent()
    const times = { receivedMs: 0, queuedMs: 0, runningMs: 5, totalMs: 5 }
    expect(first).toMatchObject({ id: 1, state: 'completed', code: undefined, ...times })
    expect(second).toMatchObject({ receivedMs: 0, queuedMs: 5, runningMs: 0, totalMs: 5 })
  })

  it('stays received while its version loads', async () => {
    await start({}, ['load'])
    await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
    const states = statesFrom()
    const output = ask(runtime, 1)
    await gate.arrival('load', 2)
    expect(runtime.requests.active()).toMatchObject([{ state: 'received', version: '1' }])
    await advance(7)
    gate.open('load')
    expect(await output).toBe(1)
    expect(states).toEqual(['1 received', '1 queued', '1 running', '1 completed'])
    expect(last()).toMatchObject({ receivedMs: 7, totalMs: 7 })
  })

  it('times out at its deadline, and its late outputs change nothing', async () => {
    await start()
    const running = codeOf(ask(runtime, 1, 'hold', { timeoutMs: 20 }))
    const queued = codeOf(ask(runtime, 2, '', { timeoutMs: 5 }))
    await gate.arrival('run')
    await advance(4)
    expect(runtime.requests.recent()).toEqual([])
    await advance(1)
    expect(await queued).toBe('ERR_DEADLINE_EXCEEDED')
    expect(last()).toMatchObject({ id: 2, state: 'timed-out', code: 'ERR_DEADLINE_EXCEEDED', runningMs: 0 })
    await advance(15)
    expect(await running).toBe('ERR_DEADLINE_EXCEEDED')
    expect(last()).toMatchObject({ id: 1, state: 'timed-out', runningMs: 20 })
    gate.open('run')
    expect(await ask(runtime, 3)).toBe(3)
    expect(runtime.requests.counts().totals).toMatchObject({ received: 3, completed: 1, 'timed-out': 2 })
  })

  it('is cancelled when its signal aborts', async () => {
    await start()
    const controller = new AbortController()
    const code = codeOf(ask(runtime, 1, 'hold', { signal: controller.signal }))
    await gate.arrival('run')
    controller.abort()
    expect(await code).toBe('ERR_ABORTED')
    expect(last()).toMatchObject({ state: 'cancelled', code: 'ERR_ABORTED' })
    await codeOf(ask(runtime, 2, '', { signal: controller.signal }))
    expect(last()).toMatchObject({ id: 2, state: 'cancelled', runningMs: 0 })
  })

  it('fails if its run fails or its replica dies', async () => {
    await start()
    await codeOf(ask(runtime, 1, 'throw'))
    await codeOf(ask(runtime, 1, 'exit'))
    expect(runtime.requests.recent().map(({ state, code }) => [state, code])).toEqual([
      ['failed', 'ERR_REPLICA_EXITED'],
      ['failed', 'ERR_INFERENCE'],
    ])
  })

  it('is rejected if it is not admitted, with the model and version as far as they are known', async () => {
    await start({ maxQueue: 1 })
    const known = { model: 'gated', version: '1' }
    const refusals: [promise: Promise<unknown>, code: string, about: object][] = [
      [runtime.predict('unknown', {}), 'ERR_MODEL_NOT_FOUND', { model: 'unknown', version: undefined }],
      [runtime.predict(7 as never, {}), 'ERR_MODEL_NOT_FOUND', { model: undefined, version: undefined }],
      [ask(runtime, 1, '', { version: '9' }), 'ERR_VERSION_NOT_FOUND', { ...known, version: undefined }],
      [ask(runtime, 1, '', { timeout: 5 } as never), 'ERR_INVALID_OPTIONS', { ...known, version: undefined }],
      [ask(runtime, 1, '', { outputs: ['z'] }), 'ERR_INVALID_OPTIONS', known],
      [runtime.predict('gated', { x: 'text' }), 'ERR_INVALID_INPUT', known],
    ]
    const admitted = [ask(runtime, 1, 'hold'), ask(runtime, 2)]
    refusals.push([ask(runtime, 3), 'ERR_OVERLOADED', known])
    for (const [promise, code] of refusals) expect(await codeOf(promise)).toBe(code)
    const rejected = runtime.requests.recent().reverse()
    expect(rejected).toMatchObject(refusals.map(([, code, about]) => ({ state: 'rejected', code, ...about })))
    expect(rejected.every(({ queuedMs, runningMs }) => queuedMs === 0 && runningMs === 0)).toBe(true)
    gate.openForGood()
    await Promise.all(admitted)
    await runtime.close()
    expect(await codeOf(ask(runtime, 1))).toBe('ERR_RUNTIME_CLOSED')
    expect(last()).toMatchObject({ state: 'rejected', code: 'ERR_RUNTIME_CLOSED' })
    expect(runtime.requests.counts().totals).toMatchObject({ received: 10, completed: 2, rejected: 8 })
  })

  it('is rejected when a close runs out of time, or fails if it is running', async () => {
    await start()
    const codes = [codeOf(ask(runtime, 1, 'block')), codeOf(ask(runtime, 2))]
    await gate.arrival('run')
    const closing = runtime.close({ timeoutMs: 0 })
    await advance(1_000)
    await closing
    expect(await Promise.all(codes)).toEqual(['ERR_RUNTIME_CLOSED', 'ERR_RUNTIME_CLOSED'])
    const ends = runtime.requests.recent().map(({ id, state }) => `${id} ${state}`)
    expect(ends.sort()).toEqual(['1 failed', '2 rejected'])
  })

  it("emits its events in its caller's context, whichever request starts its run", async () => {
    await start()
    const store = new AsyncLocalStorage<string>()
    const states: string[] = []
    runtime.requests.on('transition', ({ id, state }) => states.push(`${id} ${state} ${store.getStore()}`))
    const first = store.run('first', () => ask(runtime, 1, 'hold'))
    const second = store.run('second', () => ask(runtime, 2))
    await gate.arrival('run')
    gate.open('run')
    await Promise.all([first, second])
    expect(states.sort()).toEqual([
      '1 completed first',
      '1 queued first',
      '1 running first',
      '2 completed second',
      '2 queued second',
      '2 running second',
    ])
  })

  it('is counted by the version that runs it, also across a swap', async () => {
    await start()
    const outputs: Promise<number>[] = []
    const askMany = (): void => {
      for (let x = 0; x < 50; x += 1) outputs.push(ask(runtime, x))
    }
    askMany()
    const swapping = runtime.models.hotSwapModel({ ...gated(), newVersion: '2' })
    askMany()
    await (await swapping).drained
    askMany()
    await Promise.all(outputs)
    const { totals, active } = runtime.requests.counts()
    expect(totals).toMatchObject({ received: 150, completed: 150 })
    expect(active).toEqual({ received: 0, queued: 0, running: 0 })
    const counted = ['1', '2'].map((version) => runtime.models.getModel('gated', version)?.stats().requests)
    expect(counted).toEqual([100, 50])
    const recent = runtime.requests.recent()
    expect(recent).toHaveLength(100)
    expect(recent.filter(({ version }) => version === '2')).toHaveLength(50)
  })
})

describe('a transaction of the application', () => {
  it('is the parent of the predictions inside it, and of no others', async () => {
    await start({ replicas: 2 })
    const transact = async (name: string): Promise<number> => {
      using transaction = runtime.requests.begin('transaction', { name })
      await transaction.run(async () => {
        for (let step = 0; step < 3; step += 1) {
          await ask(runtime, step)
          await settle(1)
        }
        await Promise.all([ask(runtime, 3), codeOf(runtime.predict('unknown', {}))])
      })
      transaction.complete()
      return transaction.id
    }
    const outside = ask(runtime, 0)
    const ids = await Promise.all(['a', 'b', 'c'].map(transact))
    await outside
    const recent = runtime.requests.recent()
    for (const [index, id] of ids.entries()) {
      expect(recent.filter(({ parent }) => parent === id)).toHaveLength(5)
      const own = recent.find((one) => one.id === id)
      expect(own).toMatchObject({ kind: 'transaction', state: 'completed', info: { name: 'abc'[index] } })
    }
    expect(recent.filter(({ parent }) => parent === undefined)).toHaveLength(4)
    expect(runtime.requests.counts().totals).toMatchObject({ received: 19, completed: 16, rejected: 3 })
  })

  it('is the parent of its own request although the end of another one starts the run', async () => {
    await start()
    const { requests } = runtime
    const transactions = [requests.begin('transaction'), requests.begin('transaction')] as const
    const outputs = [
      transactions[0].run(() => ask(runtime, 1, 'hold')),
      transactions[1].run(() => ask(runtime, 2)),
    ]
    await gate.arrival('run')
    gate.open('run')
    await Promise.all(outputs)
    expect(requests.recent().map(({ parent }) => parent)).toEqual([transactions[1].id, transactions[0].id])
    expect(requests.active().map(({ kind }) => kind)).toEqual(['transaction', 'transaction'])
  })

  it('ends in the state that the error of a prediction belongs to', async () => {
    await start()
    const transaction = runtime.requests.begin('transaction')
    const failed = transaction
      .run(() => ask(runtime, 1, 'hold', { timeoutMs: 5 }))
      .catch((error: unknown) => transaction.fail(error))
    await advance(5)
    await failed
    expect(transaction.state).toBe('timed-out')
  })

  it('can belong to a tracker without a runtime', async () => {
    await start()
    const tracker = new RequestTracker({ recent: 1 })
    tracker.begin('job').run(() => ask(runtime, 1))
    expect(tracker.active()).toMatchObject([{ kind: 'job', state: 'running' }])
    expect(runtime.requests.active()).toMatchObject([{ kind: 'predict', parent: undefined }])
  })
})
