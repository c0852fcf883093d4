import type { ModelHandle, Outputs, PredictOptions, Runtime, Tensor } from 'tbcoin-engine'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as graphs from '../../models/synthetic/graphs.js'
import { model, node, value } from '../../models/synthetic/onnx-builder.js'
import { type TempRepository, tempRepository } from '../../models/synthetic/temp-repository.js'
import { batchingOf, decided } from '../support/batching-harness.js'
import { errorOf, quietRuntime } from '../support/runtime-harness.js'

let runtime: Runtime
let repository: TempRepository
let names = 0

beforeAll(async () => {
  repository = tempRepository({
    mlp: { '1': graphs.mlp() },
    table: { '1': graphs.lookup() },
    'two-outputs': { '1': twoOutputs() },
    sum: { '1': sum() },
  })
  runtime = await quietRuntime()
}, 60_000)

afterAll(async () => {
  await runtime.close()
  repository.dispose()
})

/** x float32[batch,4] -> twice = x + x and square = x * x. */
function twoOutputs(): Uint8Array {
  return model({
    inputs: [value('x', 'float32', ['batch', 4])],
    outputs: [value('twice', 'float32', ['batch', 4]), value('square', 'float32', ['batch', 4])],
    nodes: [node('Add', ['x', 'x'], ['twice']), node('Mul', ['x', 'x'], ['square'])],
  })
}

/** x float32[m,4] + z float32[n,4] -> y: z is shared by all rows, or x is broadcast to z. */
function sum(): Uint8Array {
  return model({
    inputs: [value('x', 'float32', ['m', 4]), value('z', 'float32', ['n', 4])],
    outputs: [value('y', 'float32')],
    nodes: [node('Add', ['x', 'z'], ['y'])],
  })
}

async function load(name: string): Promise<ModelHandle> {
  names += 1
  const source = repository.path(name, '1')
  return runtime.models.loadModel({ name: `${name}-${names}`, version: '1', source, config: { replicas: 1 } })
}

function float(dims: readonly number[], make: (at: number) => number): Tensor {
  const length = dims.reduce((product, dim) => product * dim, 1)
  return { type: 'float32', dims, data: Float32Array.from({ length }, (_, at) => make(at)) }
}

const rowOf = (index: number): Tensor => float([1, 4], (at) => (index % 50) + at / 10)

describe('requests for named outputs', () => {
  const ask = (handle: ModelHandle, index: number, options?: PredictOptions): Promise<Outputs> =>
    handle.predict({ x: rowOf(index) }, options)

  it.each([[['square']], [['twice', 'square']], [['square', 'twice']]])(
    '%j lead to a proof',
    async (outputs) => {
      const handle = await load('two-outputs')
      expect(await decided(handle, (index) => ask(handle, index, { outputs }))).toBe('proven')
      const wanted = [outputs, undefined, ['twice'], ['square']]
      const requests = Array.from({ length: 160 }, (_, index) => {
        const own = wanted[index % wanted.length]
        return ask(handle, index, own === undefined ? {} : { outputs: own })
      })
      for (const [index, answer] of (await Promise.all(requests)).entries()) {
        const x = Array.from(rowOf(index).data as Float32Array)
        const expected: Outputs = {
          twice: { ...rowOf(index), data: Float32Array.from(x, (each) => each + each) } as Tensor,
          square: { ...rowOf(index), data: Float32Array.from(x, (each) => each * each) } as Tensor,
        }
        const own = wanted[index % wanted.length] ?? ['twice', 'square']
        expect(answer).toEqual(Object.fromEntries(own.map((name) => [name, expected[name]])))
      }
      expect(batchingOf(handle)).toMatchObject({ state: 'proven', axes: { x: 0, twice: 0, square: 0 } })
      expect(batchingOf(handle).batchedRequests).toBeGreaterThan(0)
    },
  )
})

describe('the proof of batching still succeeds', () => {
  const { NaN: nan } = Number
  const first: Readonly<Record<string, Tensor>> = {
    'after a request without rows': float([0, 4], () => 0),
    'after a request of NaN values': float([1, 4], () => nan),
    'after a request of infinite values': float([1, 4], () => Number.POSITIVE_INFINITY),
    'after a request of zeros': float([1, 4], () => 0),
    'after a request of the largest numbers': float([1, 4], () => 3e38),
    'after a request of many rows': float([50_000, 4], (at) => at % 7),
  }

  it.each(Object.keys(first))('%s', async (what) => {
    const handle = await load('mlp')
    const x = first[what] as Tensor
    await handle.predict({ x })
    expect(await decided(handle, (index) => handle.predict({ x: rowOf(index) }))).toBe('proven')
    await Promise.all(Array.from({ length: 60 }, (_, index) => handle.predict({ x: rowOf(index) })))
    expect(batchingOf(handle).batches).toBeGreaterThan(0)
  })

  it('after ten requests of NaN values', async () => {
    const handle = await load('mlp')
    for (let turn = 0; turn < 10; turn += 1) await handle.predict({ x: float([1, 4], () => nan) })
    expect(await decided(handle, (index) => handle.predict({ x: rowOf(index) }))).toBe('proven')
  })

  it('after a request that fails', async () => {
    const handle = await load('table')
    const ask = (index: number): Promise<Outputs> =>
      handle.predict({ index: BigInt64Array.of(BigInt(index)) })
    expect(await errorOf(ask(10_000))).toMatchObject({ code: 'ERR_INFERENCE' })
    expect(await decided(handle, (index) => ask(index % 10))).toBe('proven')
  })

  it('after a request of a shape that cannot be batched', async () => {
    const handle = await load('sum')
    const ask = (index: number, n: number): Promise<Outputs> =>
      handle.predict({ x: rowOf(index), z: float([n, 4], () => 1) })
    expect((await ask(1, 16)).y?.dims).toEqual([16, 4])
    expect(await decided(handle, (index) => ask(index, 1))).toBe('proven')
    expect(batchingOf(handle).axes).toEqual({ x: 0, z: 'shared', y: 0 })
    await Promise.all(Array.from({ length: 60 }, (_, index) => ask(index, 1)))
    expect(batchingOf(handle).batches).toBeGreaterThan(0)
  })
})
