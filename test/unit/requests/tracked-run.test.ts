import { AsyncLocalStorage } from 'node:async_hooks'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { systemClock } from '../../../src/platform/clock.js'
import { RunRequest } from '../../../src/pools/queue/run-request.js'
import { RequestTracker } from '../../../src/requests/request-tracker.js'
import { collectGarbage } from '../../support/collect-garbage.js'
import { fakeOutputs } from '../../support/fake-host.js'
import { PoolKit } from '../../support/pool-harness.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const store = new AsyncLocalStorage<string>()

function statesOf(tracker: RequestTracker): string[] {
  return tracker.active().map(({ id, state }) => `${id} ${state}`)
}

describe('a request to a pool', () => {
  it('is running at once when a replica is free, else queued until one is', async () => {
    const kit = await PoolKit.open()
    const { tracker } = kit
    kit.ask(1)
    kit.ask(2)
    expect(statesOf(tracker)).toEqual(['1 running', '2 queued'])
    await vi.advanceTimersByTimeAsync(10)
    await kit.answer(1)
    expect(statesOf(tracker)).toEqual(['2 running'])
    await vi.advanceTimersByTimeAsync(5)
    await kit.answer(2)
    expect(tracker.active()).toEqual([])
    expect(tracker.recent()).toMatchObject([
      { id: 2, kind: 'predict', model: 'fake', version: '1', state: 'completed', queuedMs: 10, runningMs: 5 },
      { id: 1, state: 'completed', receivedMs: 0, queuedMs: 0, runningMs: 10, totalMs: 10 },
    ])
  })

  it('whose signal has already aborted is cancelled without ever being queued', async () => {
    const kit = await PoolKit.open()
    const { tracker } = kit
    kit.ask(1, { signal: AbortSignal.abort() })
    expect(tracker.counts().totals).toMatchObject({ received: 1, queued: 0, running: 0, cancelled: 1 })
  })

  it('that completes after its deadline stays timed out', async () => {
    const kit = await PoolKit.open()
    const { tracker } = kit
    kit.ask(1, { timeoutMs: 5 })
    await vi.advanceTimersByTimeAsync(5)
    await kit.answer(1)
    expect(tracker.recent()).toMatchObject([
      { state: 'timed-out', code: 'ERR_DEADLINE_EXCEEDED', runningMs: 5 },
    ])
    expect(tracker.counts().totals.completed).toBe(0)
  })

  it('that is refused, crashes or fails ends in the matching state', async () => {
    const kit = await PoolKit.open({ maxQueue: 1 })
    const { tracker } = kit
    for (const x of [1, 2, 3]) kit.ask(x)
    await kit.crash(1)
    await kit.pool.stop(0)
    expect(tracker.recent().map(({ id, state, code }) => [id, state, code])).toEqual([
      [2, 'rejected', 'ERR_MODEL_UNAVAILABLE'],
      [1, 'failed', 'ERR_REPLICA_EXITED'],
      [3, 'rejected', 'ERR_OVERLOADED'],
    ])
  })

  it('whose input cannot be copied is rejected and has never run', async () => {
    const kit = await PoolKit.open()
    const { tracker } = kit
    const tracked = tracker.receive('fake')
    const request = new RunRequest(systemClock, 'fake', '1', {}, undefined, tracked)
    // The request has no inputs.
    request.promise.catch(() => undefined)
    kit.submit(request)
    expect(tracker.counts().totals).toMatchObject({ running: 0, rejected: 1 })
  })

  it.each(['queued', 'running'])('may be aborted by a listener of its transition to %s', async (state) => {
    const kit = await PoolKit.open()
    const { tracker } = kit
    const controllers = [1, 2, 3].map(() => new AbortController())
    tracker.on('transition', (request) => {
      if (request.id === 2 && request.state === state) controllers[1]?.abort()
    })
    const requests = controllers.map(({ signal }, index) => kit.ask(index + 1, { signal }))
    await kit.answer(1)
    await kit.answer(3)
    expect(requests.map((one) => one.code ?? one.y)).toEqual([1, 'ERR_ABORTED', 3])
    expect(requests.map((one) => one.settlements)).toEqual([1, 1, 1])
    expect(kit.pool.leaseCount).toBe(0)
    expect(kit.pool.stats()).toMatchObject({ queued: 0, inFlight: 0, idle: 1 })
  })

  it('is reported in the async context of its own caller, even if the end of another request starts it', async () => {
    const kit = await PoolKit.open()
    const { tracker } = kit
    const contexts: string[] = []
    tracker.on('transition', ({ id, state }) => contexts.push(`${id} ${state} ${store.getStore()}`))
    store.run('first', () => kit.ask(1))
    store.run('second', () => kit.ask(2))
    await store.run('other', () => kit.answer(1))
    await kit.answer(2)
    expect(contexts).toEqual([
      '1 queued first',
      '1 running first',
      '2 queued second',
      '2 running second',
      '1 completed first',
      '2 completed second',
    ])
  })
})

describe('a tracker', () => {
  it('keeps no input, output, promise or async context of a request that has ended', async () => {
    vi.useRealTimers()
    const tracker = new RequestTracker()
    tracker.on('settled', () => undefined)
    const held = new AsyncLocalStorage<object>()
    const run = (): WeakRef<object>[] => {
      const context = { user: 'a caller' }
      const tracked = held.run(context, () => tracker.receive('fake'))
      const request = new RunRequest(systemClock, 'fake', '1', {}, undefined, tracked)
      const inputs = [{ type: 'float32' as const, dims: [1], data: Float32Array.of(1) }]
      const outputs = fakeOutputs(1)
      request.inputs = inputs
      request.markQueued()
      request.start(performance.now())
      request.resolve(outputs)
      return [context, request, request.promise, inputs, outputs].map((each) => new WeakRef(each))
    }
    const refs = run()
    // The target of a WeakRef stays alive until the turn is over.
    await new Promise((resolve) => setImmediate(resolve))
    collectGarbage()
    expect(refs.map((ref) => ref.deref())).toEqual(refs.map(() => undefined))
    expect(tracker.recent()).toMatchObject([{ model: 'fake', state: 'completed' }])
  })

  it('refuses a name that is not a string', () => {
    const tracker = new RequestTracker()
    tracker.receive(Float32Array.of(1) as never).settled(new Error('x'), 0)
    expect(tracker.recent()).toMatchObject([{ model: undefined }])
  })
})
