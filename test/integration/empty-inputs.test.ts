import type { ModelHandle, Runtime, RuntimeOptions } from 'tbcoin-engine'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { decoder } from '../../models/synthetic/fault-graphs.js'
import { identity, mlp } from '../../models/synthetic/graphs.js'
import { type TempFolder, tempFolder } from '../../models/synthetic/temp-folder.js'
import { type TempRepository, tempRepository } from '../../models/synthetic/temp-repository.js'
import { errorOf, quietRuntime } from '../support/runtime-harness.js'

let repository: TempRepository
let cache: TempFolder

beforeAll(() => {
  cache = tempFolder()
  repository = tempRepository({
    mlp: { '1': mlp() },
    decoder: { '1': decoder() },
    single: { '1': decoder([1, 2, 'p', 4]) },
    words: { '1': identity('string', ['batch', 2]) },
  })
})

afterAll(() => {
  repository.dispose()
  cache[Symbol.dispose]()
})

const empty = (...dims: readonly number[]) => ({ type: 'float32', dims, data: new Float32Array(0) }) as const
const x = { type: 'float32', dims: [1, 2, 1, 4], data: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8) } as const

async function withModel(
  name: string,
  options: RuntimeOptions,
  use: (handle: ModelHandle, runtime: Runtime) => Promise<void>,
): Promise<void> {
  await using runtime = await quietRuntime({ cacheDir: cache.path, ...options })
  const source = repository.path(name, '1')
  await use(await runtime.models.loadModel({ name, version: '1', source }), runtime)
}

describe.each<[string, RuntimeOptions]>([
  ['with a trial', {}],
  ['without a trial', { probe: 'off' }],
  [
    'without a process for trials',
    { builderEntry: '/nonexistent/builder.js', cacheDir: '/nonexistent/cache' },
  ],
])('%s', (kind, options) => {
  it.each(['decoder', 'single'])('the first step of a %s with an empty past is answered', async (name) => {
    await withModel(name, options, async (handle) => {
      const { sum } = await handle.predict({ x, past: empty(1, 2, 0, 4) })
      expect(sum).toEqual({ type: 'float32', dims: [1, 2, 1, 4], data: x.data })
    })
  })

  it('a request without rows is answered only where a trial was', async () => {
    await withModel('mlp', options, async (handle) => {
      const answer = handle.predict({ x: empty(0, 4) })
      if (kind === 'with a trial') expect((await answer).probabilities?.dims).toEqual([0, 3])
      else {
        expect(await errorOf(answer)).toMatchObject({
          code: 'ERR_INVALID_INPUT',
          model: 'mlp',
          message: expect.stringMatching(/input "x" has size 0 along axis 0.*at least/),
        })
      }
      // The replica is as it was.
      expect((await handle.predict({ x: [[1, 2, 3, 4]] })).probabilities?.dims).toEqual([1, 3])
    })
  })
})

it('strings without rows are answered too where a trial was', async () => {
  await withModel('words', {}, async (handle) => {
    expect(await handle.predict({ x: { type: 'string', dims: [0, 2], data: [] } })).toEqual({
      y: { type: 'string', dims: [0, 2], data: [] },
    })
  })
})

it('a sample without rows is refused as a request is', async () => {
  await using runtime = await quietRuntime({ probe: 'off' })
  const source = repository.path('mlp', '1')
  const config = { sample: { input: { x: empty(0, 4) } } }
  expect(
    await errorOf(runtime.models.loadModel({ name: 'mlp', version: '1', source, config })),
  ).toMatchObject({
    code: 'ERR_WARMUP',
    message: expect.stringMatching(/sample\.input.*size 0 along axis 0/),
  })
})
