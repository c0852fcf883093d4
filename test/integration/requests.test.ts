import { AsyncLocalStorage } from 'node:async_hooks'
import { type RequestSnapshot, RequestTracker, type Runtime, type RuntimeOptions } from 'tbcoin-engine'
import { afterEach, describe, expect, it } from 'vitest'
import { collectGarbage } from '../support/collect-garbage.js'
import { Gate } from '../support/load-gate.js'
import { ask, codeOf, gated, loadGated, quietRuntime, settle } from '../support/runtime-harness.js'

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

/** Every state of every request, as `1 queued`. */
function statesTold(): string[] {
  const told: string[] = []
  const note = ({ id, state }: RequestSnapshot): void => void told.push(`${id} ${state}`)
  runtime.requests.on('received', note).on('transition', note)
  return told
}

/** Of the request that was settled last. */
function last(): RequestSnapshot | undefined {
  return runtime.requests.recent(1)[0]
}

describe('a prediction', () => {
  it('is received, queued, running and completed, and tells how long it was', async () => {
    await start()
    const told = statesTold()
    const answers = [ask(runtime, 1, 'hold'), ask(runtime, 2)]
    await gate.arrival('run')
    expect(told).toEqual(['1 received', '1 queued', '2 received', '2 queued', '1 running'])
    expect(runtime.requests.active()).toMatchObject([
      { id: 1, kind: 'predict', model: 'gated', version: '1', state: 'running' },
      { id: 2, kind: 'predict', model: 'gated', version: '1', state: 'queued', runningMs: 0 },
    ])
    gate.open('run')
    expect(await Promise.all(answers)).toEqual([1, 2])
    expect(told.slice(5)).toEqual(['2 running', '1 completed', '2 completed'])
    expect(runtime.requests.active()).toEqual([])
    const [second, first] = runtime.requests.recent()
    expect(first).toMatchObject({ id: 1, state: 'completed', code: undefined })
    expect(second?.queuedMs).toBeGreaterThan(0)
    expect(second?.totalMs).toBeCloseTo(
      (second?.receivedMs ?? 0) + (second?.queuedMs ?? 0) + (second?.runningMs ?? 0),
    )
  })

  it('is received as long as its version is being loaded', async () => {
    await start({}, ['load'])
    await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
    const told = statesTold()
    const answer = ask(runtime, 1)
    await gate.arrival('load', 2)
    expect(runtime.requests.active()).toMatchObject([{ state: 'received', version: '1' }])
    gate.open('load')
    expect(await answer).toBe(1)
    expect(told).toEqual(['1 received', '1 queued', '1 running', '1 completed'])
    expect(last()?.receivedMs).toBeGreaterThan(0)
  })

  it('that misses its deadline has timed out, and its late answer changes nothing', async () => {
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

  it('that is aborted is cancelled', async () => {
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

  it('that fails on its replica, or with it, has failed', async () => {
    await start()
    await codeOf(ask(runtime, 1, 'throw'))
    await codeOf(ask(runtime, 1, 'exit'))
    expect(runtime.requests.recent().map(({ state, code }) => [state, code])).toEqual([
      ['failed', 'ERR_REPLICA_EXITED'],
      ['failed', 'ERR_INFERENCE'],
    ])
  })

  it('that is refused at the door is rejected, with what is known of it by then', async () => {
    await start({ maxQueue: 1 })
    const known = { model: 'gated', version: '1' }
    const refusals: [promise: Promise<unknown>, code: string, about: object][] = [
      [runtime.predict('nobody', {}), 'ERR_MODEL_NOT_FOUND', { model: 'nobody', version: undefined }],
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

  it('that close gives up on is rejected, or has failed if it was running', async () => {
    await start()
    const codes = [codeOf(ask(runtime, 1, 'block')), codeOf(ask(runtime, 2))]
    await gate.arrival('run')
    await runtime.close({ timeoutMs: 0 })
    expect(await Promise.all(codes)).toEqual(['ERR_RUNTIME_CLOSED', 'ERR_RUNTIME_CLOSED'])
    const ends = runtime.requests.recent().map(({ id, state }) => `${id} ${state}`)
    expect(ends.sort()).toEqual(['1 failed', '2 rejected'])
  })

  it('is told of in the context of its caller, whoever lets it run', async () => {
    await start()
    const store = new AsyncLocalStorage<string>()
    const told: string[] = []
    runtime.requests.on('transition', ({ id, state }) => told.push(`${id} ${state} ${store.getStore()}`))
    const first = store.run('first', () => ask(runtime, 1, 'hold'))
    const second = store.run('second', () => ask(runtime, 2))
    await gate.arrival('run')
    gate.open('run')
    await Promise.all([first, second])
    expect(told.sort()).toEqual([
      '1 completed first',
      '1 queued first',
      '1 running first',
      '2 completed second',
      '2 queued second',
      '2 running second',
    ])
  })

  it('is one of those that its version counts, also over a swap', async () => {
    await start()
    const answers: Promise<number>[] = []
    const askMany = (): void => {
      for (let x = 0; x < 50; x += 1) answers.push(ask(runtime, x))
    }
    askMany()
    const swapping = runtime.models.hotSwapModel({ ...gated(), newVersion: '2' })
    askMany()
    await (await swapping).drained
    askMany()
    await Promise.all(answers)
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

describe("a transaction of the application's", () => {
  it('has the predictions inside as its children, and no others', async () => {
    await start({ replicas: 2 })
    const transact = async (name: string): Promise<number> => {
      using transaction = runtime.requests.begin('transaction', { name })
      await transaction.run(async () => {
        for (let step = 0; step < 3; step += 1) {
          await ask(runtime, step)
          await settle(1)
        }
        await Promise.all([ask(runtime, 3), codeOf(runtime.predict('nobody', {}))])
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

  it('is the parent of a request that is run when the one of another ends', async () => {
    await start()
    const { requests } = runtime
    const transactions = [requests.begin('transaction'), requests.begin('transaction')] as const
    const answers = [
      transactions[0].run(() => ask(runtime, 1, 'hold')),
      transactions[1].run(() => ask(runtime, 2)),
    ]
    await gate.arrival('run')
    gate.open('run')
    await Promise.all(answers)
    expect(requests.recent().map(({ parent }) => parent)).toEqual([transactions[1].id, transactions[0].id])
    expect(requests.active().map(({ kind }) => kind)).toEqual(['transaction', 'transaction'])
  })

  it('ends as the error of a prediction tells', async () => {
    await start()
    const transaction = runtime.requests.begin('transaction')
    try {
      await transaction.run(() => ask(runtime, 1, 'hold', { timeoutMs: 5 }))
    } catch (error) {
      transaction.fail(error)
    }
    expect(transaction.state).toBe('timed-out')
  })

  it('can be tracked without a runtime', async () => {
    await start()
    const tracker = new RequestTracker({ recent: 1 })
    tracker.begin('job').run(() => ask(runtime, 1))
    expect(tracker.active()).toMatchObject([{ kind: 'job', state: 'running' }])
    expect(runtime.requests.active()).toMatchObject([{ kind: 'predict', parent: undefined }])
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
