import type { ModelHandle, RuntimeOptions } from 'tbcoin-engine'
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
  use: (handle: ModelHandle) => Promise<void>,
): Promise<void> {
  await using runtime = await quietRuntime({ cacheDir: cache.path, ...options })
  const source = repository.path(name, '1')
  await use(await runtime.models.loadModel({ name, version: '1', source }))
}

describe('a model that a process has tried', () => {
  it.each(['decoder', 'single'])('answers the first step of a %s, with an empty past', async (name) => {
    await withModel(name, {}, async (handle) => {
      const { sum } = await handle.predict({ x, past: empty(1, 2, 0, 4) })
      expect(sum).toEqual({ type: 'float32', dims: [1, 2, 1, 4], data: x.data })
    })
  })

  it('answers a request without rows, and the next one with rows', async () => {
    await withModel('mlp', {}, async (handle) => {
      expect((await handle.predict({ x: empty(0, 4) })).probabilities?.dims).toEqual([0, 3])
      expect((await handle.predict({ x: [[1, 2, 3, 4]] })).probabilities?.dims).toEqual([1, 3])
    })
  })

  it('answers strings without rows', async () => {
    await withModel('words', {}, async (handle) => {
      expect(await handle.predict({ x: { type: 'string', dims: [0, 2], data: [] } })).toEqual({
        y: { type: 'string', dims: [0, 2], data: [] },
      })
    })
  })
})

// The first step of a decoder runs natively with an empty past, which nothing has tried before.
describe.each<[string, RuntimeOptions]>([
  ['by its options', { probe: 'off' }],
  [
    'because no process can be started',
    { builderEntry: '/nonexistent/builder.js', cacheDir: '/nonexistent/cache' },
  ],
])('a model that was not tried, %s', (_, options) => {
  it('answers the first step of a decoder and rejects a request without rows', async () => {
    await withModel('decoder', options, async (handle) => {
      const { sum } = await handle.predict({ x, past: empty(1, 2, 0, 4) })
      expect(sum).toEqual({ type: 'float32', dims: [1, 2, 1, 4], data: x.data })
      expect(await errorOf(handle.predict({ x: empty(0, 2, 1, 4), past: empty(0, 2, 0, 4) }))).toMatchObject({
        code: 'ERR_INVALID_INPUT',
        message: expect.stringMatching(/size 0 along axis 0/),
      })
    })
  })
})
