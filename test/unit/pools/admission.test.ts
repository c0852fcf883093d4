import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { UnsendableTask } from '../../../src/hosts/replica-host.js'
import { systemClock } from '../../../src/platform/clock.js'
import { RunRequest } from '../../../src/pools/queue/run-request.js'
import type { FakeHost } from '../../support/fake-host.js'
import { Asked, PoolKit, turn } from '../../support/pool-harness.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('a pool', () => {
  it('sends a request to an idle replica at once', async () => {
    const { threads, ask } = bound(await PoolKit.open())
    ask(7)
    expect(threads.runs).toEqual([7])
  })

  it('resolves a request with the outputs of its replica', async () => {
    const kit = await PoolKit.open()
    const one = kit.ask(1)
    await kit.answer(1, 42)
    expect(one.outcome).toEqual({ y: 42 })
    expect(one.settlements).toBe(1)
  })

  it('rejects a request whose run failed, and no other', async () => {
    const kit = await PoolKit.open()
    const [bad, good] = [kit.ask(1), kit.ask(2)]
    kit.threads.running(1).failRun()
    await turn()
    await kit.answer(2)
    expect(bad.code).toBe('ERR_INFERENCE')
    expect(good.y).toBe(2)
  })

  it('queues waiting requests in the order of arrival', async () => {
    const kit = await PoolKit.open()
    const all = [1, 2, 3, 4].map((x) => kit.ask(x))
    expect(kit.pool.stats()).toMatchObject({ busy: 1, idle: 0, queued: 3, inFlight: 1 })
    for (const x of [1, 2, 3, 4]) {
      expect(kit.threads.runs).toEqual([x])
      await kit.answer(x)
    }
    expect(all.map((one) => one.y)).toEqual([1, 2, 3, 4])
  })

  it('uses all its replicas before a request waits', async () => {
    const kit = await PoolKit.open({ replicas: 3 })
    for (const x of [1, 2, 3, 4]) kit.ask(x)
    expect(kit.threads.runs.toSorted()).toEqual([1, 2, 3])
    expect(kit.pool.stats()).toMatchObject({ busy: 3, queued: 1, inFlight: 3 })
  })

  it('sends the next request to the first replica that becomes free', async () => {
    const kit = await PoolKit.open({ replicas: 2 })
    const [slow, fast, third] = [kit.ask(1), kit.ask(2), kit.ask(3)]
    await kit.answer(2)
    expect(kit.threads.runs.toSorted()).toEqual([1, 3])
    await kit.answer(3)
    await kit.answer(1)
    expect([slow.y, fast.y, third.y]).toEqual([1, 2, 3])
  })

  it('sends the next request to a free replica before it delivers the outputs of the last one', async () => {
    const kit = await PoolKit.open()
    const first = kit.ask(1)
    kit.ask(2)
    let runsWhenTold: number[] | undefined
    void first.request.promise.then(() => {
      runsWhenTold = kit.threads.runs
    })
    await kit.answer(1)
    expect(runsWhenTold).toEqual([2])
  })

  it('sends each replica one task at a time', async () => {
    const kit = await PoolKit.open({ replicas: 2 })
    for (let x = 0; x < 20; x += 1) kit.ask(x)
    // A fake host refuses a second task.
    for (let x = 0; x < 20; x += 1) await kit.answer(x)
    expect(kit.threads.hosts.map((host) => host.tasks.length)).toEqual([11, 11])
  })

  it('sends the names of the requested outputs', async () => {
    const kit = await PoolKit.open()
    kit.ask(1, { outputs: ['y'] })
    expect(kit.threads.hosts[0]?.task?.message).toMatchObject({ kind: 'run', runs: [{ outputs: ['y'] }] })
  })

  it('copies an input when it sends it, not when it queues it', async () => {
    const kit = await PoolKit.open()
    kit.ask(1)
    const waiting = kit.ask(2)
    const input = waiting.request.inputs?.[0]?.data as Float32Array
    input[0] = 3
    await kit.answer(1)
    expect(kit.threads.runs).toEqual([3])
  })

  it('ignores a request that settled before it was submitted', async () => {
    const kit = await PoolKit.open()
    const one = kit.ask(1, { signal: AbortSignal.abort() })
    expect(kit.threads.runs).toEqual([])
    expect(kit.pool.leaseCount).toBe(0)
    await turn()
    expect(one.code).toBe('ERR_ABORTED')
  })

  it.each(['before start', 'after stop', 'while it drains'])('refuses a request %s', async (when) => {
    const kit = when === 'before start' ? new PoolKit() : await PoolKit.open()
    if (when === 'after stop') await kit.pool.stop(1000)
    if (when === 'while it drains') void kit.pool.drain()
    const one = kit.ask(1)
    await turn()
    expect(one.outcome?.error).toMatchObject({
      code: 'ERR_MODEL_UNAVAILABLE',
      model: 'fake',
      version: '1',
    })
    expect(kit.pool.leaseCount).toBe(0)
  })

  it('rejects a request that was admitted without inputs, and goes on', async () => {
    const kit = await PoolKit.open()
    const empty = new Asked(new RunRequest(systemClock, 'fake', '1', {}))
    kit.submit(empty.request)
    const next = kit.ask(2)
    await kit.answer(2)
    expect(empty.code).toBe('ERR_INVALID_INPUT')
    expect(next.y).toBe(2)
  })
})

describe('a queue with a limit', () => {
  it('refuses requests beyond the limit with a hint, and accepts them again when there is room', async () => {
    const kit = await PoolKit.open({ maxQueue: 2 })
    const [, , , refused] = [1, 2, 3, 4].map((x) => kit.ask(x))
    await turn()
    expect(refused?.outcome?.error).toMatchObject({
      code: 'ERR_OVERLOADED',
      retryable: true,
      model: 'fake',
      version: '1',
      retryAfterMs: expect.any(Number),
    })
    expect(refused?.outcome?.error).toHaveProperty(
      'retryAfterMs',
      expect.toSatisfy((ms) => ms > 0),
    )
    await kit.answer(1)
    const accepted = kit.ask(5)
    for (const x of [2, 3, 5]) await kit.answer(x)
    expect(accepted.y).toBe(5)
  })

  it('of zero still lets idle replicas work', async () => {
    const kit = await PoolKit.open({ maxQueue: 0 })
    const [first, second] = [kit.ask(1), kit.ask(2)]
    await kit.answer(1)
    expect(first.y).toBe(1)
    expect(second.code).toBe('ERR_OVERLOADED')
  })

  it('counts only waiting requests, not aborted ones', async () => {
    const kit = await PoolKit.open({ maxQueue: 1 })
    const controller = new AbortController()
    kit.ask(1)
    kit.ask(2, { signal: controller.signal })
    controller.abort()
    const third = kit.ask(3)
    await kit.answer(1)
    await kit.answer(3)
    expect(third.y).toBe(3)
  })
})

describe('an input that cannot be sent', () => {
  it('rejects its own request only', async () => {
    const kit = await PoolKit.open()
    const first = kit.ask(1)
    const gone = kit.ask(2)
    const last = kit.ask(3)
    const data = gone.request.inputs?.[0]?.data as Float32Array<ArrayBuffer>
    structuredClone(data.buffer, { transfer: [data.buffer] })
    await kit.answer(1)
    await kit.answer(3)
    expect(first.y).toBe(1)
    expect(gone.code).toBe('ERR_INVALID_INPUT')
    expect(last.y).toBe(3)
  })

  it('rejects its own request when the whole message is refused', async () => {
    const kit = await PoolKit.open()
    const [host] = kit.threads.hosts
    vi.spyOn(host as FakeHost, 'run').mockRejectedValueOnce(
      new UnsendableTask(new DOMException('no', 'DataCloneError')),
    )
    const [refused, next] = [kit.ask(1), kit.ask(2)]
    await turn()
    await kit.answer(2)
    expect(refused.outcome?.error).toMatchObject({
      code: 'ERR_INVALID_INPUT',
      model: 'fake',
      version: '1',
      cause: { name: 'DataCloneError' },
    })
    expect(next.y).toBe(2)
  })

  it('rejects only the bad ones of ten thousand requests in a row', async () => {
    const kit = await PoolKit.open({ maxQueue: 20_000 })
    const first = kit.ask(1)
    // A caller does this if it uses one array for all requests and transfers it with the first.
    const data = Float32Array.of(2)
    const many = Array.from({ length: 10_000 }, () => {
      const request = new RunRequest(systemClock, 'fake', '1', { transfer: true })
      request.inputs = [{ type: 'float32', dims: [1], data }]
      const sent = new Asked(request)
      kit.submit(request)
      return sent
    })
    const last = kit.ask(3)
    await kit.answer(1)
    await kit.answer(2)
    await kit.answer(3)
    expect(first.y).toBe(1)
    expect(many[0]?.y).toBe(2)
    expect(new Set(many.slice(1).map((one) => one.code))).toEqual(new Set(['ERR_INVALID_INPUT']))
    expect(last.y).toBe(3)
    expect(kit.pool.leaseCount).toBe(0)
  })
})

describe('a caller that aborts its request', () => {
  it('while it is queued keeps it from being sent', async () => {
    const kit = await PoolKit.open()
    kit.ask(1)
    const late = kit.ask(2, { timeoutMs: 50 })
    await vi.advanceTimersByTimeAsync(50)
    expect(late.outcome?.error).toMatchObject({ code: 'ERR_DEADLINE_EXCEEDED', stage: 'queued' })
    expect(kit.pool.stats()).toMatchObject({ queued: 0, inFlight: 1 })
    await kit.answer(1)
    expect(kit.threads.hosts[0]?.tasks.map((task) => task.kind)).toEqual(['load', 'run'])
  })

  it('in flight is rejected at once, and the replica stays busy until the run returns', async () => {
    const kit = await PoolKit.open()
    const controller = new AbortController()
    const gone = kit.ask(1, { signal: controller.signal })
    const next = kit.ask(2)
    controller.abort(new Error('the user left'))
    await turn()
    expect(gone.code).toBe('ERR_ABORTED')
    expect(kit.threads.runs).toEqual([1])
    expect(kit.pool.stats()).toMatchObject({ busy: 1, queued: 1, inFlight: 0 })
    await kit.answer(1)
    expect(kit.threads.runs).toEqual([2])
    await kit.answer(2)
    expect(next.y).toBe(2)
    expect(gone.settlements).toBe(1)
  })

  it('in flight by a deadline is rejected with that, and the late outputs are dropped', async () => {
    const kit = await PoolKit.open()
    const late = kit.ask(1, { timeoutMs: 50 })
    await vi.advanceTimersByTimeAsync(50)
    expect(late.outcome?.error).toMatchObject({ code: 'ERR_DEADLINE_EXCEEDED', stage: 'in-flight' })
    await kit.answer(1)
    expect(late.y).toBeUndefined()
    expect(late.settlements).toBe(1)
    const next = kit.ask(2)
    await kit.answer(2)
    expect(next.y).toBe(2)
  })

  it('in flight does not receive the error of a run that fails later', async () => {
    const kit = await PoolKit.open()
    const controller = new AbortController()
    const gone = kit.ask(1, { signal: controller.signal })
    controller.abort()
    kit.threads.running(1).failRun()
    await turn()
    expect(gone.code).toBe('ERR_ABORTED')
    expect(kit.pool.stats()).toMatchObject({ idle: 1, busy: 0 })
  })

  it('in flight does not receive the error of a replica that dies later', async () => {
    const kit = await PoolKit.open()
    const controller = new AbortController()
    const gone = kit.ask(1, { signal: controller.signal })
    controller.abort()
    await kit.crash(1)
    expect(gone.code).toBe('ERR_ABORTED')
    expect(kit.lost).toHaveLength(1)
  })

  it('does not affect requests of others with the same signal', async () => {
    const kit = await PoolKit.open({ replicas: 2 })
    const controller = new AbortController()
    const all = [1, 2, 3, 4].map((x) => kit.ask(x, { signal: controller.signal }))
    const other = kit.ask(5)
    controller.abort()
    await turn()
    expect(all.map((one) => one.code)).toEqual(Array(4).fill('ERR_ABORTED'))
    expect(kit.pool.leaseCount).toBe(1)
    await kit.answer(1)
    await kit.answer(5)
    expect(other.y).toBe(5)
  })
})

/** Returns the methods of `kit` as functions. */
function bound(kit: PoolKit) {
  return { threads: kit.threads, ask: kit.ask.bind(kit) }
}
