import fc from 'fast-check'
import type { ModelHandle, Outputs, Runtime, Tensor } from 'tbcoin-engine'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as graphs from '../../models/synthetic/graphs.js'
import { model, node, value } from '../../models/synthetic/onnx-builder.js'
import { type TempRepository, tempRepository } from '../../models/synthetic/temp-repository.js'
import { batchingOf } from '../support/batching-harness.js'
import { quietRuntime } from '../support/runtime-harness.js'

let runtime: Runtime
let repository: TempRepository
let names = 0

beforeAll(async () => {
  repository = tempRepository({
    sum: { '1': sum(2) },
    deep: { '1': sum(3) },
    wide: { '1': graphs.identity('float32', ['batch', 'width']) },
  })
  runtime = await quietRuntime()
}, 60_000)

afterAll(async () => {
  await runtime.close()
  repository.dispose()
})

/** x + z -> y, both with `rank` free axes. */
function sum(rank: number): Uint8Array {
  const dims = (name: string): string[] => Array.from({ length: rank }, (_, axis) => `${name}${axis}`)
  return model({
    inputs: [value('x', 'float32', dims('x')), value('z', 'float32', dims('z'))],
    outputs: [value('y', 'float32')],
    nodes: [node('Add', ['x', 'z'], ['y'])],
  })
}

async function load(name: string, input: Record<string, Tensor>): Promise<ModelHandle> {
  names += 1
  const source = repository.path(name, '1')
  const config = { replicas: 1, sample: { input } }
  return runtime.models.loadModel({ name: `${name}-${names}`, version: '1', source, config })
}

function float(dims: readonly number[], make: (at: number) => number = () => 1): Tensor<'float32'> {
  const length = dims.reduce((product, dim) => product * dim, 1)
  return { type: 'float32', dims, data: Float32Array.from({ length }, (_, at) => make(at)) }
}

/** Returns x + z with the broadcasting of numpy. */
function added(x: Tensor<'float32'>, z: Tensor<'float32'>): Tensor {
  const dims = x.dims.map((dim, axis) => (dim === 1 ? (z.dims[axis] as number) : dim))
  const offsetOf = (own: readonly number[], index: readonly number[]): number =>
    own.reduce((offset, dim, axis) => offset * dim + (dim === 1 ? 0 : (index[axis] as number)), 0)
  return float(dims, (at) => {
    let rest = at
    const index = dims.map(() => 0)
    for (let axis = dims.length - 1; axis >= 0; axis -= 1) {
      index[axis] = rest % (dims[axis] as number)
      rest = Math.floor(rest / (dims[axis] as number))
    }
    return (x.data[offsetOf(x.dims, index)] as number) + (z.data[offsetOf(z.dims, index)] as number)
  })
}

describe('requests of another shape than the proven one', () => {
  it.each([2, 3, 4, 5, 8, 16, 32])(
    'with a shared input of %i rows have the outputs that they have alone',
    async (n) => {
      const handle = await load('sum', { x: float([1, 4], (at) => at), z: float([1, 4]) })
      expect(batchingOf(handle).axes).toEqual({ x: 0, z: 'shared', y: 0 })
      const z = float([n, 4], (at) => at)
      for (let round = 0; round < 6; round += 1) {
        const rows = Array.from({ length: n }, (_, index) => float([1, 4], (at) => 100 * index + at))
        const answers = await Promise.all(rows.map((x) => handle.predict({ x, z })))
        for (const [index, { y }] of answers.entries()) expect(y).toEqual(added(rows[index] as never, z))
      }
      expect(batchingOf(handle)).toMatchObject({
        state: 'proven',
        batches: 0,
        shapeRefusal: expect.stringMatching(/of this shape/),
      })
      // Requests of the proven shape still share runs.
      const one = float([1, 4])
      await Promise.all(
        Array.from({ length: 40 }, (_, index) => handle.predict({ x: float([1, 4], () => index), z: one })),
      )
      expect(batchingOf(handle).batches).toBeGreaterThan(0)
    },
  )

  it('share runs once a trial of that shape has passed', async () => {
    const handle = await load('wide', { x: float([1, 3], (at) => at) })
    const ask = (index: number, width: number): Promise<Outputs> =>
      handle.predict({ x: float([1, width], (at) => index + at) })
    for (const width of [4, 5]) {
      const before = batchingOf(handle).batches
      while (batchingOf(handle).batches === before) {
        const answers = await Promise.all(Array.from({ length: 60 }, (_, index) => ask(index, width)))
        for (const [index, { y }] of answers.entries()) {
          expect(y).toEqual(float([1, width], (at) => index + at))
        }
      }
    }
    expect(batchingOf(handle)).toMatchObject({ state: 'proven', shapeRefusal: undefined })
  })

  it('have the outputs that they have alone, however their inputs are broadcast', async () => {
    const handle = await load('deep', { x: float([1, 2, 3], (at) => at), z: float([1, 2, 3]) })
    const size = fc.constantFrom(1, 1, 2, 3, 4, 8)
    const shape = fc.record({
      m: size,
      n: size,
      p: size,
      q: size,
      isWide: fc.boolean(),
      isDeep: fc.boolean(),
    })
    const rounds = fc.record({ shape, count: fc.constantFrom(4, 8, 16), isEqual: fc.boolean() })
    await fc.assert(
      fc.asyncProperty(rounds, async ({ shape: { m, n, p, q, isWide, isDeep }, count, isEqual }) => {
        const z = float([m === 1 || n === 1 ? n : m, isWide ? p : 1, isDeep ? q : 1], (at) => at)
        const rows = Array.from({ length: count }, (_, index) =>
          float([m, p, q], (at) => (isEqual ? at : 1_000 * index + at)),
        )
        const answers = await Promise.all(rows.map((x) => handle.predict({ x, z })))
        for (const [index, { y }] of answers.entries()) expect(y).toEqual(added(rows[index] as never, z))
      }),
      { numRuns: 120 },
    )
    expect(batchingOf(handle).state).toBe('proven')
  })
})
