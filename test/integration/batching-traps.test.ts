import { fileURLToPath } from 'node:url'
import type { ModelHandle, Outputs, Runtime, Tensor } from 'tbcoin-engine'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as graphs from '../../models/synthetic/graphs.js'
import { type TempRepository, tempRepository } from '../../models/synthetic/temp-repository.js'
import { batchingOf, decided } from '../support/batching-harness.js'
import { quietRuntime } from '../support/runtime-harness.js'

let runtime: Runtime
let repository: TempRepository

const max = (values: readonly number[]): number => Math.max(...values)

/** Models that declare a free batch axis and must not be batched: what one row is answered, and why not more. */
const TRAPS: Readonly<
  Record<string, { graph: () => Uint8Array; alone: (row: number[]) => number[]; reason: RegExp }>
> = {
  'a maximum over the batch': {
    graph: graphs.reduceMaxOverBatch,
    alone: (row) => row.map((value) => value - max(row)),
    reason: /ReduceMax/,
  },
  'a softmax over the batch': {
    graph: graphs.softmaxOverBatch,
    alone: (row) => row.map(() => 1),
    reason: /Softmax/,
  },
  'rows that meet only in large values': {
    graph: graphs.valueDependent,
    alone: (row) => row.map((value) => value + Math.max(0, max(row) - 50)),
    reason: /ReduceMax/,
  },
  'an answer of one row to any number of rows': {
    graph: graphs.firstRowOnly,
    alone: (row) => row,
    reason: /batch|dims/,
  },
  'an inner reshape to one row': {
    graph: graphs.innerReshapeToOne,
    alone: (row) => row,
    reason: /batch|dims/,
  },
  'an inner operation that fails with more than one row': {
    graph: graphs.innerConcat,
    alone: (row) => row.map((value) => value + 1),
    reason: /batch/,
  },
}

beforeAll(async () => {
  runtime = await quietRuntime()
  repository = tempRepository({
    ...Object.fromEntries(
      Object.entries(TRAPS).map(([, { graph }], index) => [`trap-${index}`, { '1': graph() }]),
    ),
    'dynamic-int8': { '1': graphs.dynamicInt8() },
  })
}, 60_000)

afterAll(async () => {
  await runtime.close()
  repository.dispose()
})

const dataOf = ({ y }: Outputs): number[] => Array.from((y as Tensor<'float32'>).data)

const rowOf = (index: number): number[] => [index % 10, (index * 7) % 13, index % 100, 60 - index]

describe.each(Object.entries(TRAPS))('%s', (trap, { alone, reason }) => {
  const file = `trap-${Object.keys(TRAPS).indexOf(trap)}`
  const ask = (handle: ModelHandle, index: number): Promise<Outputs> => handle.predict({ x: [rowOf(index)] })

  it('is found, told, and every row answered as if it were alone', async () => {
    const source = repository.path(file, '1')
    const handle = await runtime.models.loadModel({ name: file, version: '1', source })
    await decided(handle, (index) => ask(handle, index))
    const answers = await Promise.all(Array.from({ length: 100 }, (_, index) => ask(handle, index)))
    for (const [index, answer] of answers.entries()) {
      const expected = alone(rowOf(index).map(Math.fround))
      for (const [at, value] of dataOf(answer).entries()) expect(value).toBeCloseTo(expected[at] as number, 4)
    }
    const batching = batchingOf(handle)
    expect(batching).toMatchObject({ state: 'refused', axes: undefined, batches: 0, maxRows: 0 })
    expect(batching.reason).toMatch(reason)
  })

  it('is found with a sample before there are callers', async () => {
    const handle = await runtime.models.loadModel({
      name: `${file}-sample`,
      version: '1',
      source: repository.path(file, '1'),
      config: { sample: { input: { x: [rowOf(3)] } } },
    })
    expect(batchingOf(handle)).toMatchObject({ state: 'refused', reason: expect.stringMatching(reason) })
  })
})

it('dynamic quantisation is refused without a run', async () => {
  const handle = await runtime.models.loadModel({
    name: 'dynamic-int8',
    version: '1',
    source: repository.path('dynamic-int8', '1'),
    config: { sample: { input: { x: [[1, 2, 3, 4]] } } },
  })
  expect(batchingOf(handle)).toMatchObject({
    state: 'refused',
    reason: expect.stringMatching(/DynamicQuantize/),
  })
})

describe('a coupling that neither the graph nor the proof shows', () => {
  const loader = new URL('../support/loaders/coupled-loader.mjs', import.meta.url)

  async function coupled(name: string, batching: 'auto' | undefined) {
    const runs = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)
    runtime.models.registerModelLoader('coupled', loader)
    const handle = await runtime.models.loadModel({
      name,
      version: '1',
      modelType: 'coupled',
      source: fileURLToPath(loader),
      config: { loaderOptions: { runs }, ...(batching === undefined ? {} : { batching }) },
    })
    const ask = async (x: number): Promise<number | undefined> =>
      dataOf(await handle.predict({ x: Float32Array.of(x) }))[0]
    return { handle, ask, runs: new Int32Array(runs) }
  }

  it('is found by a check, told as an event, and ends the sharing of runs for good', async () => {
    const { handle, ask } = await coupled('coupled', 'auto')
    const disabled = new Promise<unknown>((resolve) => runtime.once('batchingDisabled', resolve))
    // Below 50 also when the proof takes them three times.
    await decided(handle, (index) => ask(index % 10))
    expect(batchingOf(handle).state).toBe('proven')
    // Small values share runs, and rightly.
    const small = await Promise.all(Array.from({ length: 40 }, (_, index) => ask(index)))
    expect(small).toEqual(Array.from({ length: 40 }, (_, index) => index))
    expect(batchingOf(handle).batches).toBeGreaterThan(0)
    // One large value spoils its neighbours, which nobody can know beforehand.
    await Promise.all(Array.from({ length: 40 }, (_, index) => ask(index === 7 ? 60 : index)))
    expect(await disabled).toMatchObject({
      model: 'coupled',
      version: '1',
      reason: expect.stringMatching(/other outputs than alone/),
    })
    expect(batchingOf(handle)).toMatchObject({ state: 'refused', axes: undefined })
    const { batches, checks } = batchingOf(handle)
    expect(checks).toBeGreaterThan(0)
    const after = await Promise.all(Array.from({ length: 40 }, (_, index) => ask(index === 7 ? 60 : index)))
    expect(after).toEqual(Array.from({ length: 40 }, (_, index) => (index === 7 ? 70 : index)))
    expect(batchingOf(handle).batches).toBe(batches)
    // Nor after the version was cold: it is the same version.
    await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
    expect(await ask(1)).toBe(1)
    expect(batchingOf(handle).state).toBe('refused')
  })

  it('cannot come about where nobody asks for it: each request of a custom loader runs once', async () => {
    const { handle, ask, runs } = await coupled('plain', undefined)
    await Promise.all(Array.from({ length: 40 }, (_, index) => ask(index)))
    expect(runs[0]).toBe(40)
    expect(batchingOf(handle)).toMatchObject({ state: 'off', batches: 0, checks: 0 })
  })
})
