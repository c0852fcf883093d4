import fc from 'fast-check'
import type { LoadModelOptions, ModelHandle, Outputs, Runtime, Tensor } from 'tbcoin-engine'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as graphs from '../../models/synthetic/graphs.js'
import { type TempRepository, tempRepository } from '../../models/synthetic/temp-repository.js'
import { TENSOR_TYPES } from '../../src/tensors/tensor.js'
import { batchingOf, decided } from '../support/batching-harness.js'
import { tensorOf } from '../support/element-values.js'
import { errorOf, quietRuntime } from '../support/runtime-harness.js'

let runtime: Runtime
let repository: TempRepository
let names = 0

beforeAll(async () => {
  repository = tempRepository({
    peak: { '1': graphs.maskedPeak() },
    mean: { '1': graphs.unmaskedMean() },
    ...Object.fromEntries(
      TENSOR_TYPES.map((type) => [`same-${type}`, { '1': graphs.identity(type, ['batch', 'length']) }]),
    ),
  })
  runtime = await quietRuntime()
})

afterAll(async () => {
  await runtime.close()
  repository.dispose()
})

type Config = NonNullable<LoadModelOptions['config']>
type Batching = Exclude<Config['batching'], string | undefined>

const padded = (change: object = {}): Batching =>
  ({
    padding: { inputs: { x: 1, mask: 1 }, outputs: { twice: 1 }, mask: 'mask', ...change },
  }) as Batching

const sample = { input: { x: [[1, -2, 3]], mask: [[1, 1, 1]] } }

function load(model: string, config: Config): Promise<ModelHandle> {
  names += 1
  return runtime.models.loadModel({
    name: `${model}-${names}`,
    version: '1',
    source: repository.path(model, '1'),
    config,
  })
}

function ask(handle: ModelHandle, x: readonly number[]): Promise<Outputs> {
  const tensor = (data: Float32Array): Tensor => ({ type: 'float32', dims: [1, x.length], data })
  return handle.predict({
    x: tensor(Float32Array.from(x)),
    mask: tensor(new Float32Array(x.length).fill(1)),
  })
}

describe('requests of unequal length', () => {
  it('share runs where that is configured and proven, and have answers of their own length', async () => {
    const handle = await load('peak', { batching: padded(), sample })
    expect(handle.stats().pool?.batching).toMatchObject({ state: 'proven', paddingRefusal: undefined })
    const rows = fc.array(fc.array(fc.integer({ min: -99, max: 99 }), { minLength: 1, maxLength: 40 }), {
      minLength: 1,
      maxLength: 40,
    })
    await fc.assert(
      fc.asyncProperty(rows, async (requests) => {
        const answers = await Promise.all(requests.map((x) => ask(handle, x)))
        for (const [index, { peak, twice }] of answers.entries()) {
          const x = requests[index] as number[]
          expect(Array.from((peak as Tensor<'float32'>).data)).toEqual([Math.max(0, ...x)])
          expect(twice?.dims).toEqual([1, x.length])
          expect(Array.from((twice as Tensor<'float32'>).data, (value) => value + 0)).toEqual(
            x.map((value) => value * 2 + 0),
          )
        }
      }),
      { numRuns: 60 },
    )
    // Lengths from 9 to 16 alone would be eight shapes.
    const before = batchingOf(handle).batches
    const lengths = [9, 10, 11, 12, 13, 14, 15, 16]
    // Where a batch is measured to be no faster, one choice in 128 makes it all the same.
    for (let round = 0; batchingOf(handle).batches === before; round += 1) {
      expect(round).toBeLessThan(1_000)
      await Promise.all(lengths.map((length) => ask(handle, new Array(length).fill(1))))
    }
  })

  it('share none where filling up changes the answer, and stats say so', async () => {
    const config = { inputs: { x: 1, mask: 1 }, outputs: {}, mask: 'mask' }
    const handle = await load('mean', { batching: { padding: config }, sample })
    expect(handle.stats().pool?.batching).toMatchObject({
      state: 'proven',
      paddingRefusal: expect.stringMatching(/padded from 3 to 8, output "mean"/),
    })
    const answers = await Promise.all([[1, 2, 3], [4], [5, 6]].map((x) => ask(handle, x)))
    const means = answers.map(({ mean }) => (mean as Tensor<'float32'>).data[0])
    expect(means).toEqual([3, 5, 6.5])
  })

  it('share none unless that is configured', async () => {
    const handle = await load('peak', { sample })
    await Promise.all([1, 2, 3, 4, 5].map((length) => ask(handle, new Array(length).fill(1))))
    expect(handle.stats().pool?.batching).toMatchObject({ state: 'proven', batches: 0 })
  })
})

describe('rows of unequal length', () => {
  it.each(TENSOR_TYPES)('of %s keep their values and their length', async (type) => {
    const batching: Batching = { padding: { inputs: { x: 1 }, outputs: { y: 1 }, mask: 'x' } }
    const handle = await load(`same-${type}`, { batching })
    const rowOf = (index: number): Tensor => {
      const length = 1 + (index % 40)
      return tensorOf(
        type,
        [1, length],
        Array.from({ length }, (_, at) => 1 + ((index + at) % 100)),
      )
    }
    const ask = (index: number): Promise<Outputs> => handle.predict({ x: rowOf(index) })
    // Of one length, so that they are unlike rows of the same shape.
    const same = (index: number): Promise<Outputs> => ask(4 + 40 * index)
    expect(await decided(handle, same)).toBe('proven')
    expect(batchingOf(handle).paddingRefusal).toBeUndefined()
    for (let round = 0; round < 4; round += 1) {
      const answers = await Promise.all(Array.from({ length: 80 }, (_, index) => ask(index)))
      for (const [index, { y }] of answers.entries()) expect(y).toEqual(rowOf(index))
    }
    expect(batchingOf(handle)).toMatchObject({ state: 'proven' })
    expect(batchingOf(handle).batches).toBeGreaterThan(0)
  })
})

describe('a setting of padding', () => {
  it.each([
    ['that names no mask and no length', padded({ mask: undefined }), /`mask` or `length`/],
    ['whose mask is no padded input', padded({ mask: 'x2' }), /`mask` is "x2"/],
    ['whose length is no input', padded({ mask: undefined, length: 'size' }), /`length` is "size"/],
    ['of an input that there is not', padded({ inputs: { z: 1, mask: 1 } }), /names "z"/],
    ['of an axis that is not free', padded({ inputs: { x: 2, mask: 1 } }), /axis 2 of "x" is not free/],
    ['of an output that there is not', padded({ outputs: { z: 1 } }), /names "z"/],
    ['of an axis that is no axis', padded({ inputs: { x: -1, mask: 1 } }), /inputs\.x/],
  ])('%s is refused', async (_, batching, message) => {
    const error = await errorOf(load('peak', { batching, sample }))
    expect(error).toMatchObject({ code: 'ERR_INVALID_OPTIONS', message: expect.stringMatching(message) })
  })
})
