import { AsyncLocalStorage } from 'node:async_hooks'
import type { RequestSnapshot, Runtime, RuntimeOptions } from 'tbcoin-engine'
import { afterEach, describe, expect, it } from 'vitest'
import { collectGarbage } from '../support/collect-garbage.js'
import { Gate } from '../support/load-gate.js'
import { ask, codeOf, loadGated, quietRuntime, settle } from '../support/runtime-harness.js'

// `test/unit/requests/predictions.test.ts` has what needs no threads.

let runtime: Runtime
let gate: Gate

async function start(options: RuntimeOptions = {}, hold: readonly 'load'[] = []): Promise<Runtime> {
  gate = new Gate()
  runtime = await quietRuntime({ restartBackoffMs: 1, ...options })
  if (hold.length > 0) gate.open('load')
  await loadGated(runtime, '1', { gate, hold })
  return runtime
}

afterEach(async () => {
  gate.openForGood()
  await runtime.close()
})

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
    gate.open('run')
    expect(await Promise.all(outputs)).toEqual([1, 2])
    expect(states.slice(5)).toEqual(['2 running', '1 completed', '2 completed'])
    expect(runtime.requests.active()).toEqual([])
    const [second, first] = runtime.requests.recent()
    expect(first).toMatchObject({ id: 1, state: 'completed', code: undefined })
    expect(second?.queuedMs).toBeGreaterThan(0)
    expect(second?.totalMs).toBeCloseTo(
      (second?.receivedMs ?? 0) + (second?.queuedMs ?? 0) + (second?.runningMs ?? 0),
    )
  })

  it('times out at its deadline, and its late outputs change nothing', async () => {
    await start()
    const running = codeOf(ask(runtime, 1, 'hold', { timeoutMs: 20 }))
    const queued = codeOf(ask(runtime, 2, '', { timeoutMs: 5 }))
    expect(await queued).toBe('ERR_DEADLINE_EXCEEDED')
    expect(last()).toMatchObject({ id: 2, state: 'timed-out', code: 'ERR_DEADLINE_EXCEEDED', runningMs: 0 })
    expect(await running).toBe('ERR_DEADLINE_EXCEEDED')
    expect(last()).toMatchObject({ id: 1, state: 'timed-out', runningMs: expect.any(Number) })
    gate.open('run')
    expect(await ask(runtime, 3)).toBe(3)
    expect(runtime.requests.counts().totals).toMatchObject({ received: 3, completed: 1, 'timed-out': 2 })
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

  it('is rejected when a close runs out of time, or fails if it is running', async () => {
    await start()
    const codes = [codeOf(ask(runtime, 1, 'block')), codeOf(ask(runtime, 2))]
    await gate.arrival('run')
    await runtime.close({ timeoutMs: 0 })
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
})

describe('a transaction of the application', () => {
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
})

it('the recent requests keep no input and no output alive', async () => {
  await start()
  const refs: WeakRef<object>[] = []
  const predict = async (): Promise<void> => {
    const x = Float32Array.of(1)
    const outputs = await runtime.predict('gated', { x, do: [''] })
    for (const one of [x, outputs, outputs.y, outputs.y?.data]) refs.push(new WeakRef(one as object))
  }
  await predict()
  // A replica holds on to its last run until the next one.
  await ask(runtime, 2)
  await settle()
  collectGarbage()
  expect(refs.map((ref) => ref.deref())).toEqual(refs.map(() => undefined))
  expect(runtime.requests.recent()).toHaveLength(2)
})
