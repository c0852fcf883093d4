import fc from 'fast-check'
import type { ModelHandle, Outputs, Runtime, RuntimeOptions, Tensor } from 'tbcoin-engine'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { modelPath } from '../../models/catalogue.js'
import * as graphs from '../../models/synthetic/graphs.js'
import { type TempRepository, tempRepository } from '../../models/synthetic/temp-repository.js'
import { TENSOR_TYPES } from '../../src/tensors/tensor.js'
import { batchingOf, decided } from '../support/batching-harness.js'
import { tensorOf } from '../support/element-values.js'
import { quietRuntime } from '../support/runtime-harness.js'

let runtime: Runtime
let repository: TempRepository

beforeAll(async () => {
  repository = tempRepository({
    mlp: { '1': graphs.mlp() },
    table: { '1': graphs.lookup() },
    wide: { '1': graphs.identity('float32', ['batch', 'width']) },
    ...Object.fromEntries(
      TENSOR_TYPES.map((type) => [`same-${type}`, { '1': graphs.identity(type, ['batch', 3]) }]),
    ),
  })
  runtime = await quietRuntime()
}, 60_000)

afterAll(async () => {
  await runtime.close()
  repository.dispose()
})

type Config = NonNullable<NonNullable<RuntimeOptions['models']>[number]['config']>

/** Loads a model of the repository under a name of its own, or a real one. */
async function load(
  name: string,
  config: Config = {},
  source = repository.path(name, '1'),
): Promise<ModelHandle> {
  names += 1
  return runtime.models.loadModel({ name: `${name}-${names}`, version: '1', source, config })
}
let names = 0

const row = (index: number): number[] => [index % 7, (index * 3) % 5, index / 10, -index % 4]

const askMlp = async (handle: ModelHandle, index: number): Promise<number[]> => {
  return probabilitiesOf(await handle.predict({ x: Float32Array.from(row(index)) }))
}

function probabilitiesOf({ probabilities }: Outputs): number[] {
  return Array.from((probabilities as Tensor<'float32'>).data)
}

describe('requests that wait together', () => {
  it('share runs once that is proven, and each has its own answer', async () => {
    const handle = await load('mlp')
    expect(await decided(handle, (index) => askMlp(handle, index))).toBe('proven')
    const answers = await Promise.all(Array.from({ length: 500 }, (_, index) => askMlp(handle, index)))
    for (const [index, answer] of answers.entries()) {
      const expected = graphs.mlpReference(Array.from(Float32Array.from(row(index))))
      for (const [at, value] of answer.entries()) expect(value).toBeCloseTo(expected[at] as number, 5)
    }
    const batching = batchingOf(handle)
    expect(batching).toMatchObject({
      state: 'proven',
      reason: undefined,
      axes: { x: 0, probabilities: 0 },
      maxRows: 128,
    })
    expect(batching.batches).toBeGreaterThan(0)
    expect(batching.batchedRequests).toBeGreaterThan(400)
    expect(batching.perRunMs).toBeGreaterThan(0)
  })

  it('are answered one by one, and rightly, while that is not known', async () => {
    const handle = await load('mlp')
    const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => askMlp(handle, index)))
    for (const [index, [first]] of answers.entries()) {
      expect(first).toBeCloseTo(
        graphs.mlpReference(Array.from(Float32Array.from(row(index))))[0] as number,
        5,
      )
    }
  })

  it('share them from the first on when the model has a sample', async () => {
    const handle = await load('mlp', { sample: { input: { x: [[1, 2, 3, 4]] } } })
    expect(batchingOf(handle).state).toBe('proven')
  })

  it('do not when that is switched off, for the model or for the request', async () => {
    const off = await load('mlp', { batching: 'off' })
    await Promise.all(Array.from({ length: 100 }, (_, index) => askMlp(off, index)))
    expect(batchingOf(off)).toMatchObject({ state: 'off', reason: 'it is switched off', batches: 0 })

    const on = await load('mlp', { sample: { input: { x: [[1, 2, 3, 4]] } } })
    const options = [{ batch: false }, { transfer: true }]
    for (const option of options) {
      await Promise.all(
        Array.from({ length: 100 }, (_, index) => on.predict({ x: Float32Array.from(row(index)) }, option)),
      )
    }
    expect(batchingOf(on)).toMatchObject({ state: 'proven', batches: 0 })
  })

  it('keep to maxRows', async () => {
    const handle = await load('mlp', { batching: { maxRows: 5 }, sample: { input: { x: [[1, 2, 3, 4]] } } })
    await Promise.all(Array.from({ length: 100 }, (_, index) => askMlp(handle, index)))
    const { maxRows, batches, batchedRequests } = batchingOf(handle)
    expect(maxRows).toBe(5)
    expect(batches).toBeGreaterThan(0)
    expect(batchedRequests / batches).toBeLessThanOrEqual(5)
  })

  it('may be waited for although a replica is idle, if that is asked for', async () => {
    const sample = { input: { x: [[1, 2, 3, 4]] } }
    const handle = await load('mlp', { batching: { maxDelayMs: 10_000, maxRows: 3 }, sample })
    // Each comes in a tick of its own; only the third is what the others wait for.
    const asked: Promise<number[]>[] = []
    for (const index of [1, 2, 3]) {
      asked.push(askMlp(handle, index))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await Promise.all(asked)
    expect(batchingOf(handle)).toMatchObject({ batches: 1, batchedRequests: 3 })
    // Nor does it wait for others past its own deadline.
    await handle.predict({ x: Float32Array.of(1, 2, 3, 4) }, { timeoutMs: 500 })
  })

  it('still may after the version has been cold, without another proof', async () => {
    const handle = await load('mlp', { sample: { input: { x: [[1, 2, 3, 4]] } } })
    await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
    expect(handle.stats().pool).toBeUndefined()
    await askMlp(handle, 1)
    expect(batchingOf(handle).state).toBe('proven')
  })

  it('share no memory of their answers', async () => {
    const handle = await load('same-float32', { sample: { input: { x: [[1, 2, 3]] } } })
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => handle.predict({ x: Float32Array.of(index, 1, 2) })),
    )
    expect(batchingOf(handle).batches).toBeGreaterThan(0)
    const arrays = answers.map(({ y }) => (y as Tensor<'float32'>).data)
    for (const data of arrays) data.fill(99)
    const buffers = arrays.map((data) => data.buffer)
    expect(new Set(buffers).size).toBe(20)
    for (const buffer of buffers) expect(buffer.byteLength).toBe(12)
  })

  it('may be aborted one by one, while the others are answered', async () => {
    const handle = await load('mlp', { sample: { input: { x: [[1, 2, 3, 4]] } } })
    const controllers = Array.from({ length: 60 }, () => new AbortController())
    const asked = controllers.map(({ signal }, index) =>
      handle.predict({ x: Float32Array.from(row(index)) }, { signal }),
    )
    process.nextTick(() => {
      for (const [index, controller] of controllers.entries()) if (index % 3 === 0) controller.abort()
    })
    for (const [index, outcome] of (await Promise.allSettled(asked)).entries()) {
      if (index % 3 === 0) expect(outcome).toMatchObject({ reason: { code: 'ERR_ABORTED' } })
      else {
        const { value } = outcome as PromiseFulfilledResult<Outputs>
        const [first] = probabilitiesOf(value)
        expect(first).toBeCloseTo(
          graphs.mlpReference(Array.from(Float32Array.from(row(index))))[0] as number,
          5,
        )
      }
    }
  })
})

describe('a request that fails', () => {
  it('fails alone, with the others of its batch answered', async () => {
    // One sample of one integer tells nothing of mixed up answers: live requests have to.
    const handle = await load('table', { sample: { input: { index: [3] } } })
    expect(batchingOf(handle)).toMatchObject({
      state: 'needs-samples',
      reason: expect.stringMatching(/same outputs/),
    })
    const warm = (index: number): Promise<Outputs> =>
      handle.predict({ index: BigInt64Array.of(BigInt(index % 10)) })
    expect(await decided(handle, warm)).toBe('proven')
    const asked = Array.from({ length: 64 }, (_, index) =>
      handle.predict({ index: BigInt64Array.of(index === 40 ? 10_000n : BigInt(index % 10)) }),
    )
    for (const [index, outcome] of (await Promise.allSettled(asked)).entries()) {
      const data = Float32Array.of((index % 10) * 2, (index % 10) * 2 + 1)
      if (index === 40) expect(outcome).toMatchObject({ reason: { code: 'ERR_INFERENCE' } })
      else expect(outcome).toMatchObject({ value: { y: { data } } })
    }
    expect(batchingOf(handle).state).toBe('proven')
  })
})

describe('batches of real models', () => {
  const windowOf = (index: number, size: number): Float32Array =>
    Float32Array.from(
      { length: size },
      (_, at) => Math.sin((at * (1 + (index % 9))) / 20) / (1 + (index % 3)),
    )

  it.each(['5', '6'])('Silero VAD v%s: the state on axis 1, the rate shared', async (version) => {
    const handle = await load('vad', {}, modelPath('vad', version))
    // Two rates at a time, which need different windows.
    const ask = (index: number, batch: boolean): Promise<Outputs> =>
      handle.predict(
        {
          input: windowOf(index, index % 4 === 3 ? 288 : 576),
          state: { type: 'float32', dims: [2, 1, 128], data: windowOf(index + 1, 256) },
          sr: index % 4 === 3 ? 8_000n : 16_000n,
        },
        { batch },
      )
    expect(await decided(handle, (index) => ask(index, true))).toBe('proven')
    expect(batchingOf(handle).axes).toEqual({ input: 0, state: 1, sr: 'shared', output: 0, stateN: 1 })
    const indices = Array.from({ length: 120 }, (_, index) => index)
    const together = await Promise.all(indices.map((index) => ask(index, true)))
    expect(batchingOf(handle).batches).toBeGreaterThan(0)
    for (const index of indices) expectClose(together[index] as Outputs, await ask(index, false))
  })

  it('PP-OCR cls: an image classifier', async () => {
    const handle = await load('ocr-cls', { batching: { proofBudgetMs: 1_000 } }, modelPath('ocr-cls', '2'))
    const ask = (index: number, batch: boolean): Promise<Outputs> =>
      handle.predict(
        { x: { type: 'float32', dims: [1, 3, 48, 192], data: windowOf(index, 3 * 48 * 192) } },
        { batch },
      )
    expect(await decided(handle, (index) => ask(index, true))).toBe('proven')
    const together = await Promise.all(Array.from({ length: 24 }, (_, index) => ask(index, true)))
    for (const [index, outputs] of together.entries()) expectClose(outputs, await ask(index, false))
  })

  it('detypify: a fixed batch, so none', async () => {
    const handle = await load('detypify', {}, modelPath('detypify', '0.2.4'))
    expect(batchingOf(handle)).toMatchObject({ state: 'refused', reason: 'no input has a free dimension' })
  })
})

describe('rows of different callers', () => {
  it.each(TENSOR_TYPES)('of %s keep their values', async (type) => {
    const handle = await load(`same-${type}`)
    const rowOf = (index: number): Tensor =>
      tensorOf(
        type,
        [1, 3],
        [1, 2, 3].map((value) => index * 3 + value),
      )
    const ask = (index: number): Promise<Outputs> => handle.predict({ x: rowOf(index) })
    expect(await decided(handle, ask)).toBe('proven')
    const answers = await Promise.all(Array.from({ length: 60 }, (_, index) => ask(index)))
    for (const [index, { y }] of answers.entries()) expect(y).toEqual(rowOf(index))
    expect(batchingOf(handle).batches).toBeGreaterThan(0)
  })

  it('of any shape and number keep their values', async () => {
    const handle = await load('wide')
    const warm = (index: number): Promise<Outputs> =>
      handle.predict({ x: { type: 'float32', dims: [1, 3], data: Float32Array.of(index, 1, 2) } })
    expect(await decided(handle, warm)).toBe('proven')
    const request = fc.record({
      rows: fc.integer({ min: 1, max: 5 }),
      width: fc.integer({ min: 1, max: 4 }),
      batch: fc.option(fc.boolean(), { nil: undefined }),
      priority: fc.integer({ min: -2, max: 2 }),
      isNamed: fc.boolean(),
      isAborted: fc.boolean(),
    })
    let value = 0
    await fc.assert(
      fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 60 }), async (requests) => {
        const outcomes = await Promise.all(
          requests.map(async ({ rows, width, batch, priority, isNamed, isAborted }) => {
            const data = Float32Array.from({ length: rows * width }, () => value++)
            const controller = new AbortController()
            const answer = handle.predict(
              { x: { type: 'float32', dims: [rows, width], data } },
              { batch, priority, signal: controller.signal, ...(isNamed ? { outputs: ['y'] } : {}) },
            )
            if (isAborted) setImmediate(() => controller.abort())
            const outcome = await answer.catch((error) => error.code)
            return { outcome, expected: { y: { type: 'float32', dims: [rows, width], data } }, isAborted }
          }),
        )
        for (const { outcome, expected, isAborted } of outcomes) {
          if (!isAborted || outcome !== 'ERR_ABORTED') expect(outcome).toEqual(expected)
        }
      }),
      { numRuns: 60 },
    )
    expect(batchingOf(handle).batches).toBeGreaterThan(0)
    expect(batchingOf(handle).state).toBe('proven')
  })
})

function expectClose(actual: Outputs, expected: Outputs): void {
  expect(Object.keys(actual)).toEqual(Object.keys(expected))
  for (const [name, { dims, data }] of Object.entries(expected)) {
    expect(actual[name]?.dims).toEqual(dims)
    const own = (actual[name] as Tensor<'float32'>).data
    for (const [at, value] of (data as Float32Array).entries()) {
      expect(Math.abs((own[at] as number) - value)).toBeLessThanOrEqual(1e-6 + 1e-4 * Math.abs(value))
    }
  }
}
