import { getEventListeners, setMaxListeners } from 'node:events'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { errors } from '../../../../src/errors/errors.js'
import { systemClock } from '../../../../src/platform/clock.js'
import { RunRequest, type RunRequestOptions } from '../../../../src/pools/queue/run-request.js'
import { collectGarbage } from '../../../support/collect-garbage.js'
import { fakeOutputs } from '../../../support/fake-host.js'

function request(options: RunRequestOptions = {}): RunRequest {
  const created = new RunRequest(systemClock, 'vad', '5', options)
  // Tests that are not about the promise of the caller need not await it.
  created.promise.catch(() => undefined)
  return created
}

const subject = { model: 'vad', version: '5' }

describe('a request', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('resolves with its outputs', async () => {
    const one = request()
    const outputs = fakeOutputs(3)
    one.resolve(outputs)
    await expect(one.promise).resolves.toBe(outputs)
    expect(one.isSettled).toBe(true)
  })

  it('settles once and ignores later outcomes', async () => {
    const one = request()
    const settled = vi.fn()
    one.onSettled = settled
    one.resolve(fakeOutputs(1))
    one.resolve(fakeOutputs(2))
    one.reject(new Error('late'))
    await expect(one.promise).resolves.toEqual(fakeOutputs(1))
    expect(settled).toHaveBeenCalledExactlyOnceWith(one, undefined)
  })

  it('ignores outputs after its rejection', async () => {
    const one = request()
    const settled = vi.fn()
    one.onSettled = settled
    const why = new Error('why')
    one.reject(why)
    one.resolve(fakeOutputs(1))
    one.reject(new Error('later'))
    await expect(one.promise).rejects.toBe(why)
    expect(settled).toHaveBeenCalledExactlyOnceWith(one, why)
  })

  it('reports to its pool the stage in which it settled', () => {
    for (const stage of ['waiting', 'queued', 'in-flight'] as const) {
      const one = request()
      if (stage === 'in-flight') one.start(0)
      else if (stage === 'queued') one.markQueued()
      let seen: string | undefined
      one.onSettled = (settled) => {
        seen = settled.stage
      }
      one.reject(new Error('x'))
      expect(seen).toBe(stage)
      expect(one.stage).toBe('settled')
    }
  })

  it('drops its inputs when it settles', () => {
    const one = request()
    one.inputs = []
    one.resolve(fakeOutputs(1))
    expect(one.inputs).toBeUndefined()
  })

  it.each([
    ['waiting', 'queued'],
    ['queued', 'queued'],
    ['in-flight', 'in-flight'],
  ] as const)('whose deadline passes while it is %s reports the stage %s', async (stage, reported) => {
    const one = request({ timeoutMs: 50 })
    if (stage === 'in-flight') one.start(0)
    else if (stage === 'queued') one.markQueued()
    await vi.advanceTimersByTimeAsync(49)
    expect(one.isSettled).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    await expect(one.promise).rejects.toMatchObject({
      code: 'ERR_DEADLINE_EXCEEDED',
      stage: reported,
      retryable: true,
      ...subject,
    })
    await expect(one.promise).rejects.toThrow('50 ms')
  })

  it('leaves no timer behind once it has settled', () => {
    const [answered, rejected] = [request({ timeoutMs: 50 }), request({ timeoutMs: 50 })]
    answered.resolve(fakeOutputs(1))
    rejected.reject(new Error('x'))
    expect(vi.getTimerCount()).toBe(0)
  })

  it('sets no timer without a timeout', () => {
    request()
    expect(vi.getTimerCount()).toBe(0)
  })

  it('with a timeout of 0 misses its deadline at once', async () => {
    const one = request({ timeoutMs: 0 })
    await vi.advanceTimersByTimeAsync(1)
    await expect(one.promise).rejects.toBeInstanceOf(errors.ERR_DEADLINE_EXCEEDED)
  })
})

describe("a request with its caller's signal", () => {
  const listeners = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length

  it("rejects with an AbortError whose cause is the signal's reason", async () => {
    const controller = new AbortController()
    const one = request({ signal: controller.signal })
    const reason = { why: 'the user left' }
    controller.abort(reason)
    await expect(one.promise).rejects.toMatchObject({
      name: 'AbortError',
      code: 'ERR_ABORTED',
      cause: reason,
      retryable: false,
      ...subject,
    })
  })

  it('rejects at once when the signal has already aborted', async () => {
    const one = request({ signal: AbortSignal.abort('too late') })
    expect(one.isSettled).toBe(true)
    await expect(one.promise).rejects.toMatchObject({ code: 'ERR_ABORTED', cause: 'too late' })
  })

  it('uses the default reason of abort()', async () => {
    const controller = new AbortController()
    const one = request({ signal: controller.signal })
    controller.abort()
    const error = await one.promise.catch((thrown: Error) => thrown)
    expect(error).toMatchObject({ code: 'ERR_ABORTED' })
    expect(((error as Error).cause as Error).name).toBe('AbortError')
  })

  it('rejects with a missed deadline when the signal is one of AbortSignal.timeout', async () => {
    const signal = AbortSignal.timeout(1)
    const one = request({ signal })
    one.start(performance.now())
    const error = await one.promise.catch((thrown: Error) => thrown)
    expect(error).toMatchObject({ code: 'ERR_DEADLINE_EXCEEDED', stage: 'in-flight' })
    expect((error as Error).cause).toBe(signal.reason)
  })

  it('treats a timeout inside AbortSignal.any as a deadline too', async () => {
    const signal = AbortSignal.any([AbortSignal.timeout(1), new AbortController().signal])
    await expect(request({ signal }).promise).rejects.toMatchObject({ code: 'ERR_DEADLINE_EXCEEDED' })
  })

  it('treats it as a deadline even after garbage collection of the timeout signal', async () => {
    const open = Array.from({ length: 20 }, () =>
      request({ signal: AbortSignal.any([AbortSignal.timeout(10), new AbortController().signal]) }),
    )
    const outcomes = Promise.allSettled(open.map((one) => one.promise))
    for (let round = 0; round < 5; round += 1) {
      collectGarbage()
      await new Promise((resolve) => setImmediate(resolve))
    }
    const codes = (await outcomes).map((one) => one.status === 'rejected' && one.reason.code)
    expect(new Set(codes)).toEqual(new Set(['ERR_DEADLINE_EXCEEDED']))
  })

  it.each([
    ['its outputs', (one: RunRequest) => one.resolve(fakeOutputs(1))],
    ['a rejection', (one: RunRequest) => one.reject(new Error('x'))],
  ])('removes its listener from the signal after %s', (_, settle) => {
    const { signal } = new AbortController()
    const one = request({ signal })
    expect(listeners(signal)).toBe(1)
    settle(one)
    expect(listeners(signal)).toBe(0)
  })

  it('removes its listener from the signal after its deadline', async () => {
    vi.useFakeTimers()
    try {
      const { signal } = new AbortController()
      request({ signal, timeoutMs: 10 })
      await vi.advanceTimersByTimeAsync(10)
      expect(listeners(signal)).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })

  it('clears its deadline when the signal aborts', () => {
    vi.useFakeTimers()
    try {
      const controller = new AbortController()
      request({ signal: controller.signal, timeoutMs: 10 })
      controller.abort()
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })

  it('ignores an abort after its outputs', async () => {
    const controller = new AbortController()
    const one = request({ signal: controller.signal })
    one.resolve(fakeOutputs(1))
    controller.abort()
    await expect(one.promise).resolves.toEqual(fakeOutputs(1))
  })

  it('leaves no listener behind when a thousand requests share one signal', () => {
    const { signal } = new AbortController()
    setMaxListeners(0, signal)
    const all = Array.from({ length: 1000 }, () => request({ signal }))
    for (const one of all) one.resolve(fakeOutputs(1))
    expect(listeners(signal)).toBe(0)
  })
})
