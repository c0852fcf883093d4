import { createHash } from 'node:crypto'
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import * as graphs from '../../models/synthetic/graphs.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { formOf, small, tempFolder } from '../support/artifacts-harness.js'
import { runtime, start } from '../support/gated-runtime.js'
import { allServing, errorOf, gatedLoader, stateOf, yOf } from '../support/runtime-harness.js'

const CHANGED = /has changed since m@1 was first read.*new version label/
const evict = () => runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
const resize = (replicas: number) => runtime.models.getModel('m', '1')?.resize(replicas)
const data = (k: number) => new Uint8Array(Float32Array.of(k, k, k, k).buffer)

/** Returns the distinct outputs of `m@1`, from enough requests to reach every replica. */
async function answers(x: number | readonly number[] = 0): Promise<number[]> {
  const requests = Array.from({ length: 40 }, () =>
    runtime.predict('m', { x }, { version: '1', batch: false }),
  )
  return [...new Set((await Promise.all(requests)).map(yOf))]
}

/** Returns a model directory with `m@1`, which adds 1. */
function directory(manifest?: (sha256: string) => object) {
  const model = graphs.constantAnswer(1)
  const sha256 = createHash('sha256').update(model).digest('hex')
  const files = manifest === undefined ? {} : { 'version.json': manifest(sha256) }
  return tempRepository({ m: { '1': { model, files } } })
}

/** Ways to replace the content of a file. */
const replacements: readonly [string, (path: string, bytes: Uint8Array) => void][] = [
  [
    'by a rename',
    (path, bytes) => {
      writeFileSync(`${path}.new`, bytes)
      renameSync(`${path}.new`, path)
    },
  ],
  [
    'in place, keeping size and modification time',
    (path, bytes) => {
      const { atime, mtime } = statSync(path)
      writeFileSync(path, bytes)
      utimesSync(path, atime, mtime)
    },
  ],
]
const settings = [
  ['with default options', {}],
  ['without a builder', { probe: 'off', artifacts: 'off' }],
] as const

describe.each(settings)('a version whose file is replaced while it is served, %s,', (_, options) => {
  it.each(replacements)('gets no replica of the new content replaced %s', async (_, replace) => {
    using models = directory()
    using cache = tempFolder()
    await start({ modelDir: models.dir, cacheDir: cache.path, ...options })
    replace(models.path('m', '1'), graphs.constantAnswer(2))
    const error = await errorOf(resize(2) as Promise<void>)
    expect(error).toMatchObject({ code: 'ERR_MODEL_LOAD', model: 'm', version: '1' })
    expect(error.message).toMatch(CHANGED)
    expect(await answers()).toEqual([1])
    expect(runtime.models.getModel('m')?.stats().pool).toMatchObject({ replicas: 1, idle: 1 })
  })

  it.each(replacements)('gets no replica of new external data replaced %s', async (_, replace) => {
    const model = graphs.externalData()
    using models = tempRepository({ m: { '1': { ...model, data: data(1) } } })
    using cache = tempFolder()
    await start({ modelDir: models.dir, cacheDir: cache.path, ...options })
    replace(join(models.dir, 'm', '1', 'weights.bin'), data(2))
    expect((await errorOf(resize(2) as Promise<void>)).message).toMatch(CHANGED)
    await evict()
    expect((await errorOf(runtime.predict('m', { x: [0, 0, 0, 0] }))).message).toMatch(CHANGED)
  })

  it('is not loaded again after an eviction until its file is restored', async () => {
    using models = directory()
    using cache = tempFolder()
    await start({ modelDir: models.dir, cacheDir: cache.path, maxRestartBackoffMs: 1, ...options })
    const path = models.path('m', '1')
    copyFileSync(path, `${path}.old`)
    models.write('m', '1', graphs.constantAnswer(2))
    await evict()
    const error = await errorOf(runtime.predict('m', { x: 0 }))
    expect(error).toMatchObject({ code: 'ERR_MODEL_LOAD', message: expect.stringMatching(CHANGED) })
    expect(stateOf(runtime, 'm', '1')).toBe('error')
    renameSync(`${path}.old`, path)
    await expect.poll(() => runtime.predict('m', { x: 0 }).then(yOf, () => undefined)).toBe(1)
  })

  it('is not loaded again under its label until it is unloaded', async () => {
    using models = directory()
    using cache = tempFolder()
    await start({ cacheDir: cache.path, ...options })
    const load = { name: 'm', version: '1', source: models.path('m', '1') }
    await runtime.models.loadModel(load)
    models.write('m', '1', graphs.constantAnswer(2))
    await evict()
    expect((await errorOf(runtime.models.loadModel(load))).message).toMatch(CHANGED)
    await runtime.models.unloadModel('m')
    await runtime.models.loadModel(load)
    expect(await answers()).toEqual([2])
  })

  it('gets replicas if its file was touched or replaced by a copy', async () => {
    using models = directory((sha256) => ({ sha256 }))
    using cache = tempFolder()
    await start({ modelDir: models.dir, cacheDir: cache.path, ...options })
    const path = models.path('m', '1')
    utimesSync(path, 1, 1)
    await resize(2)
    copyFileSync(path, `${path}.copy`)
    renameSync(`${path}.copy`, path)
    await resize(3)
    await evict()
    expect(await answers()).toEqual([1])
  })

  it('with a hash in version.json is not loaded again after an eviction', async () => {
    using models = directory((sha256) => ({ sha256 }))
    using cache = tempFolder()
    await start({ modelDir: models.dir, cacheDir: cache.path, ...options })
    models.write('m', '1', graphs.constantAnswer(2))
    expect((await errorOf(resize(2) as Promise<void>)).message).toMatch(CHANGED)
    await evict()
    const error = await errorOf(runtime.predict('m', { x: 0 }))
    expect(error).toMatchObject({ code: 'ERR_MODEL_LOAD', message: expect.stringMatching(/damaged or was/) })
  })
})

it('a version that failed to load is loaded later from the new content of its file', async () => {
  using models = tempRepository({ m: { '1': new Uint8Array(20) } })
  await start({ modelDir: models.dir, onLoadError: 'degrade', maxRestartBackoffMs: 1 })
  models.write('m', '1', graphs.constantAnswer(2))
  await expect.poll(() => answers().catch(() => undefined)).toEqual([2])
})

it('a version whose replica dies is served by the others while its file has new content', async () => {
  using models = directory()
  await start({ loaders: { gated: gatedLoader }, crashBudget: 2, restartBackoffMs: 1 })
  const source = models.path('m', '1')
  const config = { replicas: 2 }
  const load = { name: 'm', version: '1', modelType: 'gated', source, config }
  await allServing(await runtime.models.loadModel(load))
  models.write('m', '1', graphs.constantAnswer(2))
  const lost: { cause: unknown; restartInMs: number | undefined }[] = []
  // The load is tried more often than the crash budget allows crashes.
  const refused = new Promise<void>((resolve) => {
    runtime.on('replicaExited', ({ cause, restartInMs }) => {
      if (lost.push({ cause, restartInMs }) === 5) resolve()
    })
  })
  await errorOf(runtime.predict('m', { x: 1, do: 'exit' }))
  await refused
  const cause = { code: 'ERR_MODEL_LOAD', message: expect.stringMatching(CHANGED) }
  expect(lost).toMatchObject([
    { cause: { code: 'ERR_REPLICA_EXITED' }, restartInMs: 1 },
    ...[1, 2, 4, 8].map((restartInMs) => ({ cause, restartInMs })),
  ])
  expect(yOf(await runtime.predict('m', { x: 1, do: '' }))).toBe(1)
  expect(await runtime.health()).toMatchObject({ status: 'degraded', isReady: true })
})

it('a version that is loaded from an artifact keeps serving that artifact', async () => {
  using models = tempRepository({ m: { '1': graphs.constantAnswer(1) } })
  using cache = tempFolder()
  await start({ cacheDir: cache.path, artifacts: small })
  const config = { sample: { input: { x: 0 } } }
  const load = { name: 'm', version: '1', source: models.path('m', '1'), config }
  await runtime.models.loadModel(load)
  expect(formOf(runtime, 'm')?.form).toBe('prepacked')
  models.write('m', '1', graphs.constantAnswer(2))
  await resize(2)
  expect(await answers()).toEqual([1])
  await evict()
  expect((await errorOf(runtime.predict('m', { x: 0 }))).message).toMatch(CHANGED)
})

it('an artifact that was replaced by another one is not loaded', async () => {
  using models = tempRepository({
    a: { '1': graphs.constantAnswer(1) },
    b: { '1': graphs.constantAnswer(2) },
  })
  using cache = tempFolder()
  const config = { sample: { input: { x: 0 } } }
  const load = (name: string) =>
    runtime.models.loadModel({ name, version: '1', source: models.path(name, '1'), config })
  await start({ cacheDir: cache.path, artifacts: small })
  await load('a')
  const entries = join(cache.path, 'v1', 'entries')
  const [first] = readdirSync(entries) as [string]
  await load('b')
  const second = readdirSync(entries).find((key) => key !== first) as string
  // The entry is replaced while both models are served and before later replicas load it.
  rmSync(join(entries, first), { recursive: true })
  mkdirSync(join(entries, first))
  for (const file of readdirSync(join(entries, second))) {
    copyFileSync(join(entries, second, file), join(entries, first, file))
  }
  for (const name of ['a', 'b']) {
    const handle = runtime.models.getModel(name)
    await handle?.resize(2)
    const both = await Promise.all(
      Array.from({ length: 20 }, () => handle?.predict({ x: 0 }, { batch: false })),
    )
    expect(new Set(both.map((outputs) => outputs && yOf(outputs)))).toEqual(new Set([name === 'a' ? 1 : 2]))
  }
  await runtime.close()
  await start({ cacheDir: cache.path, artifacts: small })
  await load('a')
  expect(yOf(await runtime.predict('a', { x: 0 }))).toBe(1)
  expect(formOf(runtime, 'a')?.form).toBe('prepacked')
})

describe('a model behind a symbolic link', () => {
  const model = graphs.externalData()

  it.each(settings)(
    'is served with the external data beside the file or the link: %s',
    async (_, options) => {
      using folder = tempFolder()
      using cache = tempFolder()
      const at = (...names: string[]): string => join(folder.path, ...names)
      for (const name of ['files', 'links', 'mount', 'mount/..2024', 'blobs', 'snapshot']) mkdirSync(at(name))
      for (const name of ['files', 'mount/..2024']) {
        writeFileSync(at(name, 'model.onnx'), model.model)
        writeFileSync(at(name, 'weights.bin'), model.data)
      }
      symlinkSync(at('files', 'model.onnx'), at('links', 'model.onnx'))
      symlinkSync('..2024', at('mount', '..data'))
      writeFileSync(at('blobs', 'a'), model.model)
      writeFileSync(at('blobs', 'b'), model.data)
      for (const [name, blob] of [
        ['model.onnx', 'a'],
        ['weights.bin', 'b'],
      ] as const) {
        symlinkSync(join('..data', name), at('mount', name))
        symlinkSync(at('blobs', blob), at('snapshot', name))
      }
      await start({ cacheDir: cache.path, ...options })
      for (const name of ['links', 'mount', 'snapshot']) {
        await runtime.models.loadModel({ name, version: '1', source: at(name, 'model.onnx') })
        const { y } = await runtime.predict(name, { x: [0, 0, 0, 0] })
        expect(y?.data).toEqual(Float32Array.of(1, 2, 3, 4))
      }
      // Kubernetes points the same links to a new folder.
      renameSync(at('mount', '..2024'), at('mount', '..2025'))
      symlinkSync('..2025', at('mount', '..next'))
      renameSync(at('mount', '..next'), at('mount', '..data'))
      await runtime.models.getModel('mount')?.resize(2)
      writeFileSync(at('mount', '..2025', 'new.bin'), data(9))
      renameSync(at('mount', '..2025', 'new.bin'), at('mount', '..2025', 'weights.bin'))
      const refused = await errorOf(runtime.models.getModel('mount')?.resize(3) as Promise<void>)
      expect(refused.code).toBe('ERR_MODEL_LOAD')
    },
  )

  it('gets no data from outside of its folder', async () => {
    using folder = tempFolder()
    writeFileSync(join(folder.path, 'secret.bin'), model.data)
    mkdirSync(join(folder.path, 'models'))
    await start()
    for (const [index, location] of ['../secret.bin', join(folder.path, 'secret.bin')].entries()) {
      const source = join(folder.path, 'models', 'model.onnx')
      writeFileSync(source, graphs.externalData(location).model)
      const load = runtime.models.loadModel({ name: 'm', version: String(index), source })
      expect(await errorOf(load)).toMatchObject({ code: 'ERR_MODEL_LOAD' })
    }
  })
})
