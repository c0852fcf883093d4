import { describe, expect, it } from 'vitest'
import type { EmptyAxes } from '../../../src/tensors/input/empty-axes.js'
import type { TensorSpec } from '../../../src/tensors/tensor.js'
import { errorOf } from '../../support/runtime-harness.js'
import { machine, runtime, start, useSimulatedRuntime } from '../../support/simulated-runtime.js'
import type { SimulatedLoader } from '../../support/simulated-thread.js'

useSimulatedRuntime()

const spec = (name: string, ...dims: TensorSpec['dims']): TensorSpec => ({ name, type: 'float32', dims })

/** Loads a model whose output has three elements for each row of `x`. */
async function load(inputs: readonly TensorSpec[], emptyAxes?: EmptyAxes, config = {}): Promise<void> {
  const model: SimulatedLoader = async () => ({
    signature: { inputs, outputs: [spec('y', 'batch', 3)] },
    run: ({ x }) => {
      const rows = x?.dims[0] as number
      return { y: { type: 'float32', dims: [rows, 3], data: new Float32Array(rows * 3) } }
    },
  })
  machine.emptyAxes = emptyAxes
  machine.write('/rows.onnx', model)
  await start()
  await runtime.models.loadModel({ name: 'm', version: '1', source: '/rows.onnx', config })
}

const empty = (...dims: readonly number[]) => ({ type: 'float32', dims, data: new Float32Array(0) }) as const

describe('a request without rows', () => {
  it('is rejected if no trial has returned outputs for one, and the next request is answered', async () => {
    await load([spec('x', 'batch', 4)])
    expect(await errorOf(runtime.predict('m', { x: empty(0, 4) }))).toMatchObject({
      code: 'ERR_INVALID_INPUT',
      model: 'm',
      message: expect.stringMatching(/input "x" has size 0 along axis 0.*at least/),
    })
    expect((await runtime.predict('m', { x: [[1, 2, 3, 4]] })).y?.dims).toEqual([1, 3])
  })

  it('is answered if a trial has returned outputs for one', async () => {
    await load([spec('x', 'batch', 4)], { fatal: [], answered: [['0.0']] })
    expect((await runtime.predict('m', { x: empty(0, 4) })).y?.dims).toEqual([0, 3])
  })

  it('fails the load with ERR_WARMUP if it is the sample and no trial has returned outputs for one', async () => {
    const config = { sample: { input: { x: empty(0, 4) } } }
    expect(await errorOf(load([spec('x', 'batch', 4)], undefined, config))).toMatchObject({
      code: 'ERR_WARMUP',
      message: expect.stringMatching(/sample\.input.*size 0 along axis 0/),
    })
  })
})

it('a request with rows and an empty past is answered without a trial', async () => {
  await load([spec('x', 'batch', 4), spec('past', 'batch', 2, 'p', 4)])
  const outputs = await runtime.predict('m', { x: [[1, 2, 3, 4]], past: empty(1, 2, 0, 4) })
  expect(outputs.y?.dims).toEqual([1, 3])
})
