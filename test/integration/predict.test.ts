import { getEventListeners } from 'node:events'
import * as ort from 'onnxruntime-node'
import type { Runtime, TensorType } from 'tbcoin-engine'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as graphs from '../../models/synthetic/graphs.js'
import { type TempRepository, tempRepository } from '../../models/synthetic/temp-repository.js'
import { Gate } from '../support/load-gate.js'
import { ask, codeOf, errorOf, loadGated, quietRuntime, settle, yOf } from '../support/runtime-harness.js'

const DTYPES = {
  float32: Float32Array.of(1.5, -2),
  float64: Float64Array.of(1.5, Number.MAX_VALUE),
  float16: Uint16Array.of(0x3c00, 0xc000),
  int8: Int8Array.of(-128, 127),
  uint8: Uint8Array.of(0, 255),
  int16: Int16Array.of(-32768, 32767),
  uint16: Uint16Array.of(0, 65535),
  int32: Int32Array.of(-(2 ** 31), 2 ** 31 - 1),
  uint32: Uint32Array.of(0, 2 ** 32 - 1),
  int64: BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n),
  uint64: BigUint64Array.of(0n, 2n ** 64n - 1n),
  bool: Uint8Array.of(1, 0),
  string: ['', 'zwölf \u{1f600}'],
} as const

let runtime: Runtime
let repository: TempRepository
const gate = new Gate()

beforeAll(async () => {
  repository = tempRepository({
    ...Object.fromEntries(
      Object.keys(DTYPES).map((type) => [type, { '1': graphs.identity(type as TensorType) }]),
    ),
    shift: { '1': graphs.constantAnswer(1) },
    mlp: { '1': graphs.mlp() },
    branch: { '1': graphs.ifGraph() },
    optional: { '1': graphs.defaultedInput() },
    loop: { '1': graphs.loop() },
  })
  runtime = await quietRuntime()
  for (const name of ['shift', 'mlp', 'branch', 'optional', 'loop', ...Object.keys(DTYPES)]) {
    await runtime.models.loadModel({ name, version: '1', source: repository.path(name, '1') })
  }
  await loadGated(runtime, '1', { gate })
}, 120_000)

afterAll(async () => {
  gate.openForGood()
  await runtime.close()
  repository.dispose()
})

describe('an input value', () => {
  it.each(Object.entries(DTYPES))('of %s returns from a replica unchanged', async (type, data) => {
    const input = { type, dims: [2], data }
    const { y } = await runtime.predict(type, { x: input })
    expect(y).toEqual(input)
    expect(y?.data.constructor).toBe(data.constructor)
  })

  it.each([
    ['float16', [1, -2], Uint16Array.of(0x3c00, 0xc000)],
    ['int64', [1, 2n], BigInt64Array.of(1n, 2n)],
    ['bool', [true, false], Uint8Array.of(1, 0)],
    ['string', ['a', 'b'], ['a', 'b']],
  ] as const)('of %s can be plain JavaScript', async (type, x, data) => {
    const { y } = await runtime.predict(type, { x: [...x] })
    expect(y?.data).toEqual(data)
  })

  it('can be a tensor of onnxruntime', async () => {
    const { y } = await runtime.predict('float32', { x: new ort.Tensor('float32', [1, 2], [2]) })
    expect(y).toEqual({ type: 'float32', dims: [2], data: Float32Array.of(1, 2) })
  })

  it('can be a scalar and a boolean that selects a branch', async () => {
    const branches = await Promise.all(
      [true, false].map((condition) => runtime.predict('branch', { condition, x: [10] })),
    )
    expect(branches.map(yOf)).toEqual([11, 20])
  })

  it('without elements is served', async () => {
    const { y } = await runtime.predict('float32', {
      x: { type: 'float32', dims: [0], data: new Float32Array(0) },
    })
    expect(y).toEqual({ type: 'float32', dims: [0], data: new Float32Array(0) })
  })

  it('of four megabytes arrives whole', async () => {
    const x = Float32Array.from({ length: 2 ** 20 }, (_, i) => i)
    const { y } = await runtime.predict('float32', { x })
    // Elements are compared one by one, because a matcher takes seconds for a million.
    expect(x.every((each, i) => y?.data[i] === each)).toBe(true)
    expect(y?.data).toHaveLength(x.length)
  })

  it('can be omitted if the model has a default', async () => {
    expect(yOf(await runtime.predict('optional', { x: 2 }))).toBe(20)
  })

  it('in plain JavaScript gives the expected outputs', async () => {
    const row = [0.1, 0.2, 0.3, 0.4]
    const { probabilities } = await runtime.predict('mlp', { x: [row] })
    expect(probabilities?.dims).toEqual([1, 3])
    const expected = graphs.mlpReference(row)
    expected.forEach((p, i) => {
      expect(probabilities?.data[i]).toBeCloseTo(p, 5)
    })
  })
})

describe('an array of the caller', () => {
  it('is unchanged after the request, and may be used again at once', async () => {
    const x = Float32Array.of(1)
    const answers = [runtime.predict('shift', { x }), runtime.predict('shift', { x })]
    expect((await Promise.all(answers)).map(yOf)).toEqual([2, 2])
    expect(x).toEqual(Float32Array.of(1))
  })

  it('is transferred with `transfer`', async () => {
    const x = Float32Array.of(1)
    expect(yOf(await runtime.predict('shift', { x }, { transfer: true }))).toBe(2)
    expect(x).toHaveLength(0)
    expect(await codeOf(runtime.predict('shift', { x }))).toBe('ERR_INVALID_INPUT')
  })

  it('that is a part of a larger one is copied even with `transfer`', async () => {
    const all = Float32Array.of(1, 2, 3)
    expect(yOf(await runtime.predict('shift', { x: all.subarray(1, 2) }, { transfer: true }))).toBe(3)
    expect(all).toEqual(Float32Array.of(1, 2, 3))
  })

  it('that one request has transferred breaks only requests that use it later', async () => {
    const x = Float32Array.of(1)
    const first = runtime.predict('shift', { x }, { transfer: true })
    // The request is sent at the end of the tick.
    await new Promise((resolve) => setImmediate(resolve))
    expect(x).toHaveLength(0)
    const outcomes = await Promise.allSettled([
      ask(runtime, 1),
      first,
      runtime.predict('shift', { x }, { transfer: true }),
      runtime.predict('shift', { x: 5 }),
    ])
    expect(outcomes.map((one) => (one.status === 'fulfilled' ? 'answered' : one.reason.code))).toEqual([
      'answered',
      'answered',
      'ERR_INVALID_INPUT',
      'answered',
    ])
  })

  it('shares no memory with the outputs of any request', async () => {
    const [one, two] = await Promise.all([
      runtime.predict('shift', { x: 1 }),
      runtime.predict('shift', { x: 1 }),
    ])
    ;(one?.y?.data as Float32Array)[0] = 99
    expect(yOf(two)).toBe(2)
  })
})

describe('the `outputs` option', () => {
  it('selects the named outputs', async () => {
    const outputs = await runtime.predict('shift', { x: 1 }, { outputs: ['y'] })
    expect(Object.keys(outputs)).toEqual(['y'])
  })

  it('returns an output that is named twice once', async () => {
    const outputs = await runtime.predict('shift', { x: 1 }, { outputs: ['y', 'y'] })
    expect(Object.keys(outputs)).toEqual(['y'])
  })

  it('refuses an unknown name', async () => {
    const error = await errorOf(runtime.predict('shift', { x: 1 }, { outputs: ['y', 'constructor'] }))
    expect(error).toMatchObject({ code: 'ERR_INVALID_OPTIONS', model: 'shift', version: '1' })
    expect(error.message).toContain('"constructor"')
  })
})

describe('a deadline', () => {
  it('in flight rejects the request, and the replica finishes and serves the next one', async () => {
    const late = errorOf(ask(runtime, 1, 'hold', { timeoutMs: 20 }))
    expect(await late).toMatchObject({
      code: 'ERR_DEADLINE_EXCEEDED',
      stage: 'in-flight',
      model: 'gated',
      version: '1',
      retryable: true,
    })
    expect(runtime.models.getModel('gated')?.stats()).toMatchObject({ inFlight: 0, pool: { busy: 1 } })
    const next = ask(runtime, 2)
    gate.open('run')
    expect(await next).toBe(2)
  })

  it('in the queue rejects the request, which is never sent', async () => {
    const held = ask(runtime, 1, 'hold')
    await gate.arrival('run', 2)
    const runsBefore = runtime.models.getModel('gated')?.stats().requests
    const late = errorOf(ask(runtime, 2, 'exit', { timeoutMs: 5 }))
    expect(await late).toMatchObject({ code: 'ERR_DEADLINE_EXCEEDED', stage: 'queued' })
    gate.open('run')
    expect(await held).toBe(1)
    // If it had been sent, the thread would have ended.
    expect(await ask(runtime, 3)).toBe(3)
    expect(runtime.models.getModel('gated')?.stats()).toMatchObject({
      requests: (runsBefore ?? 0) + 2,
      pool: { restarts: 0 },
    })
  })

  it('of a real run that cannot be cancelled leaves the model serving', async () => {
    const trips = BigInt(Math.round(graphs.tripsPerMs * 300))
    const x = new Float32Array(64)
    const late = errorOf(runtime.predict('loop', { trips, x }, { timeoutMs: 100 }))
    expect(await late).toMatchObject({ code: 'ERR_DEADLINE_EXCEEDED', stage: 'in-flight' })
    const { y } = await runtime.predict('loop', { trips: 1n, x: x.map((_, i) => i) })
    expect(y?.data[1]).toBe(0)
  })

  it('that is not reached has no effect', async () => {
    expect(await ask(runtime, 1, '', { timeoutMs: 60_000 })).toBe(1)
  })
})

describe('an abort signal', () => {
  it('that aborts in flight rejects the request with its reason', async () => {
    const controller = new AbortController()
    const aborted = errorOf(ask(runtime, 1, 'hold', { signal: controller.signal }))
    await gate.arrival('run', 3)
    const reason = new Error('the user left')
    controller.abort(reason)
    expect(await aborted).toMatchObject({
      name: 'AbortError',
      code: 'ERR_ABORTED',
      cause: reason,
      model: 'gated',
    })
    gate.open('run')
    expect(await ask(runtime, 2)).toBe(2)
  })

  it('that has already aborted rejects at once, and opens no request', async () => {
    const before = runtime.models.getModel('gated')?.stats()
    expect(await codeOf(ask(runtime, 1, 'exit', { signal: AbortSignal.abort() }))).toBe('ERR_ABORTED')
    await settle()
    const after = runtime.models.getModel('gated')?.stats()
    expect(after).toMatchObject({ queued: 0, inFlight: 0, errors: (before?.errors ?? 0) + 1 })
  })

  it('of AbortSignal.timeout is a deadline', async () => {
    const late = errorOf(ask(runtime, 1, 'hold', { signal: AbortSignal.timeout(10) }))
    expect(await late).toMatchObject({ code: 'ERR_DEADLINE_EXCEEDED' })
    await gate.arrival('run', 4)
    gate.open('run')
    expect(await ask(runtime, 2)).toBe(2)
  })

  it('that many requests share keeps no listener after their outputs', async () => {
    const { signal } = new AbortController()
    await Promise.all(Array.from({ length: 8 }, (_, x) => ask(runtime, x, '', { signal })))
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  it('that aborts after the outputs has no effect', async () => {
    const controller = new AbortController()
    const answer = ask(runtime, 1, '', { signal: controller.signal })
    expect(await answer).toBe(1)
    controller.abort()
    expect(await ask(runtime, 2)).toBe(2)
  })
})

describe('a queue', () => {
  it('that is full refuses requests with a hint, and accepts them again when there is room', async () => {
    const held = new Gate()
    await loadGated(runtime, '1', { name: 'narrow', gate: held }, { maxQueue: 1 })
    const admitted = [ask(runtime, 1, 'hold', {}, 'narrow'), ask(runtime, 2, '', {}, 'narrow')]
    const refused = await errorOf(ask(runtime, 3, '', {}, 'narrow'))
    expect(refused).toMatchObject({
      code: 'ERR_OVERLOADED',
      retryable: true,
      model: 'narrow',
      retryAfterMs: expect.any(Number),
    })
    await held.arrival('run')
    held.open('run')
    expect(await Promise.all(admitted)).toEqual([1, 2])
    expect(await ask(runtime, 4, '', {}, 'narrow')).toBe(4)
    await runtime.models.unloadModel('narrow')
  })
})

it('two thousand concurrent requests each receive their own outputs', async () => {
  const answers = await Promise.all(Array.from({ length: 2000 }, (_, x) => runtime.predict('shift', { x })))
  expect(answers.map(yOf)).toEqual(Array.from({ length: 2000 }, (_, x) => x + 1))
})
