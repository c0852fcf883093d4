import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type * as Ort from 'onnxruntime-node'
import { describe, expect, it } from 'vitest'
import { catalogue, modelPath, modelsFolder, ocrKeysPath, sampleData } from '../../models/catalogue.js'
import * as graphs from '../../models/synthetic/graphs.js'
import { type DataType, dataTypes } from '../../models/synthetic/onnx-builder.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'

// Read when the native library is opened, hence before the import.
process.env.ORT_DISABLE_TELEMETRY = '1'
const ort: typeof Ort = await import('onnxruntime-node')

type Feeds = Ort.InferenceSession.OnnxValueMapType

const quiet = { logSeverityLevel: 4, intraOpNumThreads: 1, interOpNumThreads: 1 } as const

async function open(source: Uint8Array | string): Promise<Ort.InferenceSession> {
  return typeof source === 'string'
    ? ort.InferenceSession.create(source, quiet)
    : ort.InferenceSession.create(source, quiet)
}

async function run(
  source: Uint8Array | string,
  feeds: Feeds,
): Promise<Ort.InferenceSession.OnnxValueMapType> {
  const session = await open(source)
  try {
    return await session.run(feeds)
  } finally {
    await session.release()
  }
}

async function answer(source: Uint8Array | string, feeds: Feeds, output = 'y'): Promise<unknown[]> {
  const tensor = (await run(source, feeds))[output] as Ort.Tensor
  return Array.from(tensor.data as Iterable<unknown>)
}

function floats(dims: readonly number[], ...values: number[]): Ort.Tensor {
  return new ort.Tensor('float32', Float32Array.from(values), dims)
}

function int64(dims: readonly number[], ...values: bigint[]): Ort.Tensor {
  return new ort.Tensor('int64', BigInt64Array.from(values), dims)
}

const identityData: Record<DataType, Ort.Tensor['data']> = {
  float32: Float32Array.of(1.5, -2),
  float64: Float64Array.of(1.5, -2),
  float16: Uint16Array.of(0x3c00, 0xc000),
  int8: Int8Array.of(-128, 127),
  uint8: Uint8Array.of(0, 255),
  int16: Int16Array.of(-32768, 32767),
  uint16: Uint16Array.of(0, 65535),
  int32: Int32Array.of(-(2 ** 31), 2 ** 31 - 1),
  uint32: Uint32Array.of(0, 2 ** 32 - 1),
  int64: BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n),
  uint64: BigUint64Array.of(0n, 2n ** 64n - 1n),
  bool: Uint8Array.of(0, 1),
  string: ['', 'žluťoučký'],
}

describe('graphs that answer', () => {
  it.each(Object.keys(dataTypes) as DataType[])('identity of %s gives its input back', async (type) => {
    const data = identityData[type]
    // A plain object: onnxruntime's own Tensor refuses float16 bits on newer Node versions.
    const x = { type, data, dims: [2], location: 'cpu' } as unknown as Ort.Tensor
    const { y } = (await run(graphs.identity(type), { x })) as { y: Ort.Tensor }
    expect(y.type).toBe(type)
    expect([...y.dims]).toEqual([2])
    const bits = ArrayBuffer.isView(y.data) && type === 'float16' ? new Uint16Array(y.data.buffer) : y.data
    expect(Array.from(bits as Iterable<unknown>)).toEqual(Array.from(data as Iterable<unknown>))
  })

  it('add adds', async () => {
    expect(await answer(graphs.add(), { a: floats([2], 1, 2), b: floats([2], 10, 20) }, 'sum')).toEqual([
      11, 22,
    ])
  })

  it('constantAnswer tells versions apart', async () => {
    const x = floats([1], 1)
    expect(await answer(graphs.constantAnswer(1), { x })).toEqual([2])
    expect(await answer(graphs.constantAnswer(2), { x })).toEqual([3])
  })

  it('mlp answers like plain JavaScript, alone and in a batch', async () => {
    const rows = [
      [5.1, 3.5, 1.4, 0.2],
      [6.7, 3.1, 4.7, 1.5],
      [6.3, 2.9, 5.6, 1.8],
    ]
    const expected = rows.flatMap(graphs.mlpReference)
    const got = await answer(graphs.mlp(), { x: floats([3, 4], ...rows.flat()) }, 'probabilities')
    expect(got).toHaveLength(9)
    for (const [i, p] of got.entries()) expect(p).toBeCloseTo(expected[i] ?? Number.NaN, 5)
    expect(new Set(expected.map((p) => p.toFixed(3))).size).toBeGreaterThan(6)
  })

  it('ifGraph takes the branch of its condition', async () => {
    const x = floats([2], 3, 4)
    const condition = (flag: boolean) => new ort.Tensor('bool', [flag], [])
    expect(await answer(graphs.ifGraph(), { condition: condition(true), x })).toEqual([4, 5])
    expect(await answer(graphs.ifGraph(), { condition: condition(false), x })).toEqual([6, 8])
  })

  it('loop turns its input once a trip', async () => {
    const x = Array.from({ length: 64 }, (_, i) => i)
    for (const trips of [0, 1, 63, 1000]) {
      const feeds = { trips: int64([], BigInt(trips)), x: floats([64], ...x) }
      expect(await answer(graphs.loop(), feeds)).toEqual(graphs.loopReference(x, trips))
    }
  })

  it('loop takes longer the more trips it is given', async () => {
    const session = await open(graphs.loop())
    const x = new ort.Tensor('float32', new Float32Array(64), [64])
    const timeOf = async (trips: bigint): Promise<number> => {
      const start = performance.now()
      await session.run({ trips: int64([], trips), x })
      return performance.now() - start
    }
    await timeOf(1000n)
    const long = await timeOf(10_000n)
    expect(long).toBeGreaterThan(await timeOf(100n))
    await session.release()
  })

  it('stringInOut answers its input twice', async () => {
    const x = new ort.Tensor('string', ['one', 'two'], [2])
    expect(await answer(graphs.stringInOut(), { x })).toEqual(['one', 'two', 'one', 'two'])
  })

  it('defaultedInput runs with and without the input that has a default', async () => {
    const x = floats([1], 3)
    expect(await answer(graphs.defaultedInput(), { x })).toEqual([30])
    const session = await open(graphs.defaultedInput())
    expect(session.inputNames).toEqual(['x'])
    await session.release()
  })

  it('externalData reads its weights from the file beside it', async () => {
    using repository = tempRepository({ shifted: { '1': graphs.externalData() } })
    const x = floats([4], 10, 20, 30, 40)
    expect(await answer(repository.path('shifted', '1'), { x })).toEqual([11, 22, 33, 44])
  })

  it('bigLoad has the weights it promises and answers finite numbers', async () => {
    const bytes = graphs.bigLoad(9)
    expect(bytes.length).toBeGreaterThan(9 * 2 ** 20)
    const got = (await answer(bytes, { x: floats([1, 1024], ...new Array(1024).fill(1)) })) as number[]
    const length = Math.hypot(...got)
    expect(length).toBeGreaterThan(1)
    expect(length).toBeLessThan(1000)
  })
})

describe('graphs that lie about batches', () => {
  const one = [1, 2, 3, 4]
  const two = [50, 60, 70, 80]
  const alone = floats([1, 4], ...one)
  const both = floats([2, 4], ...one, ...two)

  it('reduceMaxOverBatch lets rows change each other', async () => {
    expect(await answer(graphs.reduceMaxOverBatch(), { x: alone })).toEqual([-3, -2, -1, 0])
    expect((await answer(graphs.reduceMaxOverBatch(), { x: both })).slice(0, 4)).toEqual([-79, -78, -77, -76])
  })

  it('dynamicInt8 doubles a row, less precisely beside a larger one', async () => {
    const error = (got: unknown[]): number =>
      Math.max(...one.map((each, i) => Math.abs(Number(got[i]) - 2 * each)))
    const errorAlone = error(await answer(graphs.dynamicInt8(), { x: alone }))
    const errorBeside = error(await answer(graphs.dynamicInt8(), { x: both }))
    expect(errorAlone).toBeLessThan(0.02)
    expect(errorBeside).toBeGreaterThan(errorAlone * 3)
  })

  it('firstRowOnly takes two rows and answers one', async () => {
    expect(await answer(graphs.firstRowOnly(), { x: both })).toEqual(one)
  })

  it('innerConcat runs for one row and fails for two', async () => {
    expect(await answer(graphs.innerConcat(), { x: alone })).toEqual([2, 3, 4, 5])
    await expect(run(graphs.innerConcat(), { x: both })).rejects.toThrow(/Concat/)
  })
})

describe('graphs that fail', () => {
  it('reshapeFailure runs for four values and fails in the run for three', async () => {
    expect(await answer(graphs.reshapeFailure(), { x: floats([4], 1, 2, 3, 4) })).toEqual([1, 2, 3, 4])
    await expect(run(graphs.reshapeFailure(), { x: floats([3], 1, 2, 3) })).rejects.toThrow(/Reshape/i)
  })

  it('allocationBomb runs for a small shape and fails with an error for an impossible one', async () => {
    expect(await answer(graphs.allocationBomb(), { shape: int64([1], 3n) })).toEqual([0, 0, 0])
    const shape = int64([graphs.impossibleShape.length], ...graphs.impossibleShape)
    await expect(run(graphs.allocationBomb(), { shape })).rejects.toThrow(/alloc|memory|overflow/i)
  })

  it('unknownOperator is refused at load', async () => {
    await expect(open(graphs.unknownOperator())).rejects.toThrow(/NoSuchOperator/)
  })

  it('externalData without its file is refused at load', async () => {
    using repository = tempRepository({ shifted: { '1': { model: graphs.externalData().model } } })
    await expect(open(repository.path('shifted', '1'))).rejects.toThrow(/weights\.bin/)
  })

  it('sequenceOutput loads, names an output that is no tensor, and fails in the run', async () => {
    const session = await open(graphs.sequenceOutput())
    expect(session.outputMetadata[0]?.isTensor).toBe(false)
    await expect(session.run({ x: floats([2], 1, 2) })).rejects.toThrow()
    await session.release()
  })

  it('optionalInput loads and names an input that is no tensor', async () => {
    const session = await open(graphs.optionalInput())
    expect(session.inputMetadata[0]?.isTensor).toBe(false)
    await session.release()
  })
})

describe('files', () => {
  it('tempRepository is gone after its scope', () => {
    let dir = ''
    {
      using repository = tempRepository({ a: { '1': graphs.mlp() } })
      dir = repository.dir
      repository.writeManifest('a', { replicas: 1 })
      expect(readFileSync(join(dir, 'a', 'model.json'), 'utf8')).toContain('replicas')
      expect(existsSync(repository.path('a', '1'))).toBe(true)
      repository.remove('a', '1')
      expect(existsSync(repository.path('a', '1'))).toBe(false)
    }
    expect(existsSync(dir)).toBe(false)
  })

  it.each(catalogue)('$file is in place and is the file that was pinned', (entry) => {
    const bytes = readFileSync(join(modelsFolder, entry.file))
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(entry.sha256)
  })

  it('the OCR classes are 6623 lines', () => {
    expect(readFileSync(ocrKeysPath, 'utf8').trimEnd().split('\n')).toHaveLength(6623)
  })

  it.each(['5', '6'])('vad/%s gives the golden probabilities over the speech sample', async (version) => {
    const golden = JSON.parse(readFileSync(sampleData.golden, 'utf8'))[`silero_v${version}`]
    const wav = readFileSync(sampleData.speech)
    const samples = new Int16Array(wav.buffer.slice(wav.byteOffset + 44, wav.byteOffset + wav.length))
    const session = await open(modelPath('vad', version))
    let state = new ort.Tensor('float32', new Float32Array(2 * 128), [2, 1, 128])
    const sr = int64([], 16000n)
    const probabilities: number[] = []
    for (let start = 0; start + 512 <= samples.length; start += 512) {
      const frame = Float32Array.from({ length: 576 }, (_, i) => (samples[start - 64 + i] ?? 0) / 32768)
      const input = new ort.Tensor('float32', frame, [1, 576])
      const outputs = await session.run({ input, state, sr })
      state = outputs.stateN as typeof state
      probabilities.push(Number((outputs.output as Ort.Tensor).data[0]))
    }
    await session.release()
    expect(probabilities).toHaveLength(golden.n)
    for (const [i, p] of golden.first.entries()) expect(probabilities[i]).toBeCloseTo(p, 4)
    expect(probabilities.filter((p) => p > 0.5)).toHaveLength(golden.gt05)
  })
})
