import type * as Ort from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import * as graphs from '../../models/synthetic/graphs.js'

// onnxruntime reads this variable when it opens its native library.
process.env.ORT_DISABLE_TELEMETRY = '1'
const ort: typeof Ort = await import('onnxruntime-node')

async function open(source: Uint8Array): Promise<Ort.InferenceSession> {
  return ort.InferenceSession.create(source, {
    logSeverityLevel: 4,
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
  })
}

async function valuesOf(source: Uint8Array, x: Ort.Tensor): Promise<number[]> {
  const session = await open(source)
  try {
    const { y } = (await session.run({ x })) as { y: Ort.Tensor }
    return Array.from(y.data as Float32Array)
  } finally {
    await session.release()
  }
}

function floats(dims: readonly number[], ...values: number[]): Ort.Tensor {
  return new ort.Tensor('float32', Float32Array.from(values), dims)
}

// Tests of batching expect that requests are answered as if each ran alone. They would pass with any harmless model.
describe('a graph whose rows depend on each other', () => {
  const one = [1, 2, 3, 4]
  const two = [50, 60, 70, 80]
  const alone = floats([1, 4], ...one)
  const both = floats([2, 4], ...one, ...two)

  it('reduceMaxOverBatch lets rows change each other', async () => {
    expect(await valuesOf(graphs.reduceMaxOverBatch(), alone)).toEqual([-3, -2, -1, 0])
    expect((await valuesOf(graphs.reduceMaxOverBatch(), both)).slice(0, 4)).toEqual([-79, -78, -77, -76])
  })

  it('dynamicInt8 doubles a row, less precisely beside a larger one', async () => {
    const error = (values: number[]): number =>
      Math.max(...one.map((value, index) => Math.abs((values[index] as number) - 2 * value)))
    const errorAlone = error(await valuesOf(graphs.dynamicInt8(), alone))
    const errorBeside = error(await valuesOf(graphs.dynamicInt8(), both))
    expect(errorAlone).toBeLessThan(0.02)
    expect(errorBeside).toBeGreaterThan(errorAlone * 3)
  })

  it('firstRowOnly takes two rows and returns one', async () => {
    expect(await valuesOf(graphs.firstRowOnly(), both)).toEqual(one)
  })

  it('innerConcat runs for one row and fails for two', async () => {
    expect(await valuesOf(graphs.innerConcat(), alone)).toEqual([2, 3, 4, 5])
    await expect(valuesOf(graphs.innerConcat(), both)).rejects.toThrow(/Concat/)
  })
})

// Tests of exits and deadlines need a run that is still going on; tests of memory need a model of a known size.
describe('a graph that costs time or memory', () => {
  it('loop takes longer the more trips it makes', async () => {
    const session = await open(graphs.loop())
    const x = new ort.Tensor('float32', new Float32Array(64), [64])
    const timeOf = async (trips: bigint): Promise<number> => {
      const start = performance.now()
      await session.run({ trips: new ort.Tensor('int64', [trips], []), x })
      return performance.now() - start
    }
    await timeOf(1000n)
    const long = await timeOf(10_000n)
    expect(long).toBeGreaterThan(await timeOf(100n))
    await session.release()
  })

  it('bigLoad has weights of the size it was made with', () => {
    expect(graphs.bigLoad(9).length).toBeGreaterThan(9 * 2 ** 20)
  })
})
