import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { createRuntime, type ModelConfigInput, type Runtime, type Tensor } from 'tbcoin-engine'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { packageRoot } from '../../models/catalogue.js'

const examples = join(packageRoot, 'examples', 'loaders')
const loader = pathToFileURL(join(packageRoot, 'dist', 'examples', 'loaders', 'tree-ensemble.js'))
const heldOut = readJson('iris-held-out.json') as unknown as { rows: number[][]; labels: string[] }

type Json = Record<string, unknown> & { trees: Record<string, unknown>[] }

function readJson(file: string): Json {
  return JSON.parse(readFileSync(join(examples, file), 'utf8'))
}

let runtime: Runtime
let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tbcoin-loader-'))
  runtime = await createRuntime({ replicas: 1, logLevel: 'silent' })
  runtime.models.registerModelLoader('tree-ensemble', loader)
})

afterEach(async () => {
  await runtime.close()
  await rm(folder, { recursive: true, force: true })
})

function iris(
  version: string,
  source = join(examples, `iris-${version}.json`),
  config: ModelConfigInput = {},
) {
  return { name: 'iris', version, modelType: 'tree-ensemble', source, config }
}

/** Returns a copy of version 1 with a fault in it. */
async function damaged(damage: (json: Json) => string | Json): Promise<string> {
  const content = damage(readJson('iris-1.json'))
  const path = join(folder, 'damaged.json')
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

async function rightAnswers(): Promise<number> {
  const { label } = await runtime.predict('iris', { features: heldOut.rows })
  return heldOut.labels.filter((expected, row) => label?.data[row] === expected).length
}

describe('a custom loader', () => {
  it('serves with its own signature, a batch at a time', async () => {
    const handle = await runtime.models.loadModel(iris('1'))
    expect(handle.signature).toEqual({
      inputs: [{ name: 'features', type: 'float32', dims: ['batch', 4] }],
      outputs: [
        { name: 'label', type: 'string', dims: ['batch'] },
        { name: 'scores', type: 'float32', dims: ['batch', 3] },
      ],
    })
    const features = Float32Array.from(heldOut.rows.flat())
    const outputs = await runtime.predict('iris', { features })
    expect(features.length).toBe(120)
    expect(outputs.label).toMatchObject({ type: 'string', dims: [30] })
    expect(outputs.scores).toMatchObject({ type: 'float32', dims: [30, 3] })
    const { data } = outputs.scores as Tensor<'float32'>
    for (let row = 0; row < 30; row++) {
      const scores = [...data.subarray(row * 3, row * 3 + 3)]
      expect(scores.reduce((sum, score) => sum + score)).toBeCloseTo(1, 6)
      expect(['setosa', 'versicolor', 'virginica'][scores.indexOf(Math.max(...scores))]).toBe(
        outputs.label?.data[row],
      )
    }
  })

  it('returns the same outputs alone, in a batch and for no rows', async () => {
    await runtime.models.loadModel(iris('1'))
    const batch = await runtime.predict('iris', { features: heldOut.rows })
    const alone = await runtime.predict('iris', { features: [heldOut.rows[17] as number[]] })
    expect(alone.label?.data).toEqual([batch.label?.data[17]])
    expect(alone.scores?.data).toEqual((batch.scores as Tensor<'float32'>).data.slice(51, 54))
    const none = await runtime.predict('iris', {
      features: { type: 'float32', dims: [0, 4], data: new Float32Array(0) },
    })
    expect(none.scores).toMatchObject({ dims: [0, 3] })
  })

  it('computes only the requested outputs', async () => {
    await runtime.models.loadModel(iris('1'))
    const outputs = await runtime.predict('iris', { features: heldOut.rows }, { outputs: ['scores'] })
    expect(Object.keys(outputs)).toEqual(['scores'])
  })

  it('is as accurate as its files state, before and after a hot swap', async () => {
    await runtime.models.loadModel(iris('1'))
    expect(readJson('iris-1.json').about).toContain('27 of the 30')
    expect(await rightAnswers()).toBe(27)
    const swap = await runtime.models.hotSwapModel(iris2())
    expect(swap).toMatchObject({ from: '1', to: '2' })
    expect(readJson('iris-2.json').about).toContain('28 of the 30')
    expect(await rightAnswers()).toBe(28)
    expect(await swap.drained).toMatchObject({ version: '1', rejected: 0, stuck: [] })
  })

  it('serves every request over swaps under load, each by one version', async () => {
    await runtime.models.loadModel(iris('1'))
    const row = heldOut.rows.slice(0, 1)
    const expected = new Set<string>()
    const scoresOf = async (version?: string): Promise<string> => {
      const { scores } = await runtime.predict('iris', { features: row }, version ? { version } : undefined)
      return String(scores?.data)
    }
    expected.add(await scoresOf('1'))
    const first = await runtime.models.hotSwapModel(iris2())
    expected.add(await scoresOf('2'))
    await first.drained
    const answers: Promise<string>[] = []
    for (const newVersion of ['1', '2', '1', '2']) {
      for (let i = 0; i < 50; i++) answers.push(scoresOf())
      const swap = await runtime.models.hotSwapModel({ name: 'iris', newVersion })
      for (let i = 0; i < 50; i++) answers.push(scoresOf())
      await swap.drained
    }
    const settled = await Promise.allSettled(answers)
    expect(settled.filter((each) => each.status === 'rejected')).toEqual([])
    expect(new Set(await Promise.all(answers))).toEqual(expected)
  })

  it('is checked by a sample like any other', async () => {
    const input = { features: [[5, 3.6, 1.4, 0.2]] }
    await runtime.models.loadModel(iris('1', undefined, { sample: { input, output: { label: ['setosa'] } } }))
    const wrong = iris('2', undefined, { sample: { input, output: { label: ['virginica'] } } })
    await expect(runtime.models.loadModel(wrong)).rejects.toMatchObject({
      code: 'ERR_WARMUP',
      message: expect.stringContaining('setosa'),
    })
  })

  it('refuses rows of another length before they are sent', async () => {
    await runtime.models.loadModel(iris('1'))
    await expect(runtime.predict('iris', { features: [[1, 2, 3]] })).rejects.toMatchObject({
      code: 'ERR_INVALID_INPUT',
      message: expect.stringContaining('float32[batch, 4]'),
    })
  })

  it.each<[string, (json: Json) => string | Json, string]>([
    ['is cut off', (json) => JSON.stringify(json).slice(0, 500), 'is not JSON, perhaps cut off'],
    ['has another format', (json) => ({ ...json, format: 'x' }), 'is no tree ensemble'],
    ['lacks its labels', (json) => ({ ...json, labels: undefined }), 'labels'],
    ['has a cyclic tree', (json) => set(json, 'left', [0, -1, -1]), 'goes left from node 0 to 0'],
    ['names a missing node', (json) => set(json, 'right', [3, -1, -1]), 'goes right from node 0 to 3'],
    ['has columns of different lengths', (json) => set(json, 'value', [1]), 'has 3 nodes, but 1 in "value"'],
    ['needs an unknown feature', (json) => set(json, 'feature', [4, -1, -1]), 'asks for feature 4'],
    ['has an unknown label', (json) => set(json, 'label', 3), 'tree 0 is for label 3, there are 3'],
  ])('refuses a file that %s, and leaves the active version untouched', async (_, damage, problem) => {
    await runtime.models.loadModel(iris('1'))
    const source = await damaged(damage)
    const refused = runtime.models.hotSwapModel({ ...iris2(), source })
    await expect(refused).rejects.toMatchObject({
      code: 'ERR_MODEL_LOAD',
      model: 'iris',
      version: '2',
      message: expect.stringContaining(problem),
      cause: { message: expect.stringContaining('damaged.json') },
    })
    expect(runtime.models.getModel('iris')?.version).toBe('1')
    expect(await rightAnswers()).toBe(27)
    // A version that failed can be swapped in again once its file is repaired.
    await runtime.models.hotSwapModel(iris2())
    expect(await rightAnswers()).toBe(28)
  })

  it('refuses a model type that has no loader', async () => {
    await expect(runtime.models.loadModel({ ...iris('1'), modelType: 'forest' })).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTIONS',
      message: expect.stringContaining('known: onnx, tree-ensemble'),
    })
  })
})

function iris2() {
  return {
    name: 'iris',
    newVersion: '2',
    modelType: 'tree-ensemble',
    source: join(examples, 'iris-2.json'),
  }
}

/** Replaces a column of the first tree. */
function set(json: Json, column: string, value: unknown): Json {
  const [first, ...others] = json.trees
  return { ...json, trees: [{ ...first, [column]: value }, ...others] }
}
