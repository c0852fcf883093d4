import { createHash } from 'node:crypto'
import { pathToFileURL } from 'node:url'
import type { Runtime } from 'tbcoin-engine'
import { describe, expect, it } from 'vitest'
import * as graphs from '../../models/synthetic/graphs.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { codeOf, errorOf, movesOf, quietRuntime, stateOf, yOf } from '../support/runtime-harness.js'
import { type Line, listLogger, testLogger } from '../support/test-logger.js'

const states = (runtime: Runtime): string[] =>
  runtime.models
    .listModels()
    .map(({ name, version, state, isActive }) => `${name}@${version} ${state}${isActive ? ' active' : ''}`)
    .sort()

const y = async (runtime: Runtime, name: string, version?: string): Promise<number> =>
  yOf(await runtime.predict(name, { x: 0 }, { version }))

describe('a model directory', () => {
  it('is served by its latest versions, and older ones are known and cold', async () => {
    await using repository = tempRepository({
      plain: { '9': graphs.constantAnswer(9), '10': graphs.constantAnswer(10) },
      released: {
        '1.10.0': graphs.constantAnswer(110),
        '1.9.0': graphs.constantAnswer(19),
        '2.0.0-rc.1': graphs.constantAnswer(20),
      },
    })
    await using runtime = await quietRuntime({ modelDir: repository.dir })
    expect(states(runtime)).toEqual([
      'plain@10 running active',
      'plain@9 uninitialized',
      'released@1.10.0 uninitialized',
      'released@1.9.0 uninitialized',
      'released@2.0.0-rc.1 running active',
    ])
    expect(await y(runtime, 'plain')).toBe(10)
    expect(await y(runtime, 'released')).toBe(20)
  })

  it.each([
    ['numbers after a v', { v9: 9, v10: 10 }, 10],
    ['numbers after a text', { 'release-2': 2, 'release-10': 10 }, 10],
    ['numbers beside folders that are not versions', { '9': 9, '10': 10, backup: 0, current: 0 }, 10],
    ['a single version with any name', { production: 7 }, 7],
  ])('is served by the latest of %s', async (_, labels, latest) => {
    const versions = Object.entries(labels).map(([label, answer]) => [label, graphs.constantAnswer(answer)])
    await using repository = tempRepository({ m: Object.fromEntries(versions) })
    await using runtime = await quietRuntime({ modelDir: repository.dir })
    expect(await y(runtime, 'm')).toBe(latest)
  })

  it.each([[['release-2', 'v9']], [['alpha', 'beta']]])(
    'refuses to guess the latest of %j unless one is named',
    async (labels) => {
      const versions = labels.map((label, index) => [label, graphs.constantAnswer(index)])
      await using repository = tempRepository({ m: Object.fromEntries(versions) })
      const error = await errorOf(quietRuntime({ modelDir: repository.dir }))
      expect(error).toMatchObject({ code: 'ERR_VERSION_NOT_FOUND', model: 'm' })
      for (const label of labels) expect(error.message).toContain(label)
      expect(error.message).toContain('name the one to serve in the option `models`')
      const [, version = ''] = labels
      await using runtime = await quietRuntime({ modelDir: repository.dir, models: [{ name: 'm', version }] })
      expect(await y(runtime, 'm')).toBe(1)
    },
  )

  it('serves a cold version to requests that name it, and the active one stays', async () => {
    await using repository = tempRepository({
      m: { '1': graphs.constantAnswer(1), '2': graphs.constantAnswer(2) },
    })
    await using runtime = await quietRuntime({ modelDir: repository.dir })
    expect(await y(runtime, 'm', '1')).toBe(1)
    expect(await y(runtime, 'm')).toBe(2)
    expect(states(runtime)).toEqual(['m@1 ready', 'm@2 running active'])
  })

  it('may be a file URL, and may be empty, which the log reports with the expected path of a model', async () => {
    await using repository = tempRepository()
    const lines: Line[] = []
    const modelDir = pathToFileURL(repository.dir)
    await using runtime = await quietRuntime({ modelDir, logger: listLogger(lines) })
    expect(runtime.state).toBe('running')
    expect(runtime.models.listModels()).toEqual([])
    expect(lines.filter(({ level }) => level === 'warn')).toMatchObject([
      {
        message: 'no models found in the model directory',
        fields: { modelDir: repository.dir, expected: `${repository.dir}/<name>/<version>/model.onnx` },
      },
    ])
    expect(await runtime.health()).toMatchObject({ status: 'healthy', isReady: true })
  })

  it('provides sources to loadModel and hotSwapModel, also those added later', async () => {
    await using repository = tempRepository({ m: { '1': graphs.constantAnswer(1) } })
    await using runtime = await quietRuntime({ modelDir: repository.dir })
    repository.write('m', '2', graphs.constantAnswer(2))
    repository.write('other', '1', graphs.constantAnswer(5))
    const swap = await runtime.models.hotSwapModel({ name: 'm', newVersion: '2' })
    expect(swap).toMatchObject({ name: 'm', from: '1', to: '2' })
    await runtime.models.loadModel({ name: 'other', version: '1' })
    expect(await y(runtime, 'm')).toBe(2)
    expect(await y(runtime, 'other')).toBe(5)
    const missing = await errorOf(runtime.models.hotSwapModel({ name: 'm', newVersion: '3' }))
    expect(missing).toMatchObject({ code: 'ERR_VERSION_NOT_FOUND', model: 'm', version: '3' })
    expect(await codeOf(runtime.models.loadModel({ name: 'nobody', version: '1' }))).toBe(
      'ERR_MODEL_NOT_FOUND',
    )
    expect(await y(runtime, 'm')).toBe(2)
  })

  it('takes settings from the manifests', async () => {
    await using repository = tempRepository({
      m: {
        '1': graphs.constantAnswer(1),
        '2': { model: graphs.constantAnswer(2), files: { 'version.json': { config: { replicas: 1 } } } },
      },
    })
    repository.writeManifest('m', { replicas: 2, sample: { input: { x: 1 } } })
    await using runtime = await quietRuntime({ modelDir: repository.dir })
    expect(runtime.models.getModel('m', '2')?.stats().pool?.wanted).toBe(1)
    await y(runtime, 'm', '1')
    expect(runtime.models.getModel('m', '1')?.stats().pool?.wanted).toBe(2)
  })

  it('loads a model whose weights lie beside it', async () => {
    const { model, data, dataFile } = graphs.externalData()
    await using repository = tempRepository({ m: { '1': { model, data, dataFile } } })
    await using runtime = await quietRuntime({ modelDir: repository.dir })
    const { y: answer } = await runtime.predict('m', { x: [0, 0, 0, 0] })
    expect(answer?.data).toEqual(Float32Array.of(1, 2, 3, 4))
  })

  it('that does not exist keeps the runtime from starting, even if load errors are tolerated', async () => {
    for (const onLoadError of ['throw', 'degrade'] as const) {
      expect(await codeOf(quietRuntime({ modelDir: '/no/such/folder', onLoadError }))).toBe(
        'ERR_INVALID_OPTIONS',
      )
    }
  })
})

describe('a manifest', () => {
  it.each([
    ['model.json that is not JSON', '{', undefined, /model\.json: not JSON/],
    ['model.json with an invalid value', { replicas: 0 }, undefined, /model\.json: `replicas` is 0/],
    ['version.json with an unknown key', undefined, { sha: 'x' }, /version\.json: .*`sha`/],
  ])('%s keeps the runtime from starting', async (_, model, version, message) => {
    await using repository = tempRepository({
      m: {
        '1': {
          model: graphs.constantAnswer(1),
          files: version === undefined ? {} : { 'version.json': version },
        },
      },
    })
    if (model !== undefined) repository.writeManifest('m', model as object)
    const error = await errorOf(quietRuntime({ modelDir: repository.dir }))
    expect(error).toMatchObject({ code: 'ERR_INVALID_MANIFEST', model: 'm' })
    expect(error.message).toMatch(message)
  })

  it('that is invalid excludes its model only if load errors are tolerated', async () => {
    await using repository = tempRepository({
      bad: { '1': graphs.constantAnswer(1) },
      good: { '1': graphs.constantAnswer(2) },
    })
    repository.writeManifest('bad', { replicas: 0 })
    await using runtime = await quietRuntime({ modelDir: repository.dir, onLoadError: 'degrade' })
    expect(await y(runtime, 'good')).toBe(2)
    expect(await codeOf(runtime.predict('bad', { x: 0 }))).toMatch(
      /ERR_MODEL_NOT_FOUND|ERR_MODEL_UNAVAILABLE/,
    )
  })

  it('with the hash of another file keeps the version from being loaded', async () => {
    const model = graphs.constantAnswer(1)
    const sha256 = createHash('sha256').update(graphs.constantAnswer(2)).digest('hex')
    await using repository = tempRepository({ m: { '1': { model, files: { 'version.json': { sha256 } } } } })
    const error = await errorOf(quietRuntime({ modelDir: repository.dir }))
    expect(error).toMatchObject({ code: 'ERR_MODEL_LOAD', model: 'm', version: '1' })
    expect(error.message).toContain(sha256)
  })

  it('with the correct hash lets the version be loaded', async () => {
    const model = graphs.constantAnswer(1)
    const sha256 = createHash('sha256').update(model).digest('hex')
    await using repository = tempRepository({ m: { '1': { model, files: { 'version.json': { sha256 } } } } })
    await using runtime = await quietRuntime({ modelDir: repository.dir })
    expect(await y(runtime, 'm')).toBe(1)
  })
})

describe('a model that cannot be loaded at the start', () => {
  const withBad = () =>
    tempRepository({
      bad: { '1': graphs.constantAnswer(1), '2': graphs.constantAnswer(2).subarray(0, 50) },
      good: { '1': graphs.constantAnswer(3) },
    })

  it('rejects createRuntime with its own error', async () => {
    await using repository = withBad()
    const error = await errorOf(quietRuntime({ modelDir: repository.dir }))
    expect(error).toMatchObject({ code: 'ERR_MODEL_LOAD', model: 'bad', version: '2' })
  })

  it('is excluded with the reason if load errors are tolerated, and can be repaired later', async () => {
    await using repository = withBad()
    await using runtime = await quietRuntime({ modelDir: repository.dir, onLoadError: 'degrade' })
    expect(runtime.state).toBe('running')
    expect(await y(runtime, 'good')).toBe(3)
    const error = await errorOf(runtime.predict('bad', { x: 0 }))
    expect(error).toMatchObject({
      code: 'ERR_MODEL_UNAVAILABLE',
      model: 'bad',
      retryable: true,
      cause: { code: 'ERR_MODEL_LOAD', model: 'bad', version: '2' },
    })
    expect(
      runtime.models.listModels().find((one) => one.name === 'bad' && one.version === '2'),
    ).toMatchObject({
      state: 'error',
      cause: { code: 'ERR_MODEL_LOAD' },
    })
    // An older version serves requests that name it.
    expect(await y(runtime, 'bad', '1')).toBe(1)
    repository.write('bad', '2', graphs.constantAnswer(2))
    await runtime.models.loadModel({ name: 'bad', version: '2' })
    expect(await y(runtime, 'bad')).toBe(2)
  })

  it('makes the runtime degraded until it is served or unloaded', async () => {
    await using repository = withBad()
    await using runtime = await quietRuntime({ modelDir: repository.dir, onLoadError: 'degrade' })
    const report = await runtime.health()
    expect(report).toMatchObject({ status: 'degraded', isReady: true })
    expect(report.checks.models).toMatchObject({
      status: 'degraded',
      reason: expect.stringMatching(/^bad is not served: /),
    })
    repository.write('bad', '2', graphs.constantAnswer(2))
    await runtime.models.loadModel({ name: 'bad', version: '2' })
    expect(await runtime.health()).toMatchObject({ status: 'healthy', isReady: true })
    await runtime.models.unloadModel('bad')
    expect(await runtime.health()).toMatchObject({ status: 'healthy', isReady: true })
  })

  it.each([
    ['whose file is damaged', { '1': graphs.constantAnswer(1).subarray(0, 50) }, {}],
    ['whose manifest is invalid', { '1': graphs.constantAnswer(1) }, { replicas: 0 }],
    ['whose latest version is ambiguous', { a: graphs.constantAnswer(1), b: graphs.constantAnswer(2) }, {}],
  ])('makes the runtime not ready if it is the only one, %s', async (_, versions, manifest) => {
    await using repository = tempRepository({ m: versions })
    repository.writeManifest('m', manifest)
    await using runtime = await quietRuntime({ modelDir: repository.dir, onLoadError: 'degrade' })
    const report = await runtime.health()
    expect(report).toMatchObject({ status: 'unhealthy', isReady: false, isLive: true })
    expect(report.checks.models?.reason).toMatch(/^m is not served: /)
  })

  it('from the `models` option makes the runtime not ready if it is the only one', async () => {
    const models = [{ name: 'm', version: '1', source: '/no/such/file' }]
    await using runtime = await quietRuntime({ models, onLoadError: 'degrade' })
    expect(await runtime.health()).toMatchObject({ status: 'unhealthy', isReady: false })
  })

  it('from the `models` option is treated the same way', async () => {
    await using repository = withBad()
    const models = [
      { name: 'bad', version: '2', source: repository.path('bad', '2') },
      { name: 'good', version: '1', source: repository.path('good', '1') },
    ]
    expect(await codeOf(quietRuntime({ models }))).toBe('ERR_MODEL_LOAD')
    await using runtime = await quietRuntime({ models, onLoadError: 'degrade' })
    expect(await y(runtime, 'good')).toBe(3)
    expect(stateOf(runtime, 'bad', '2')).toBe('error')
  })
})

it('every configured model stays known, however many cannot be loaded', async () => {
  const names = Array.from({ length: 12 }, (_, index) => `m${index}`)
  await using repository = tempRepository(
    Object.fromEntries(names.map((name) => [name, { '1': new Uint8Array(0) }])),
  )
  const models = names.map((name) => ({
    name: `${name}-option`,
    version: '1',
    source: repository.path(name, '1'),
  }))
  await using runtime = await quietRuntime({ modelDir: repository.dir, models, onLoadError: 'degrade' })
  expect(runtime.models.listModels().map(({ state }) => state)).toEqual(Array(24).fill('error'))
})

describe('the `models` option', () => {
  it('serves the first version of a model, and keeps others ready', async () => {
    await using repository = tempRepository({
      m: { '1': graphs.constantAnswer(1), '2': graphs.constantAnswer(2) },
    })
    const models = ['1', '2'].map((version) => ({
      name: 'm',
      version,
      source: repository.path('m', version),
    }))
    await using runtime = await quietRuntime({ models })
    expect(states(runtime)).toEqual(['m@1 running active', 'm@2 ready'])
  })

  it('with promote activates a later version', async () => {
    await using repository = tempRepository({
      m: { '1': graphs.constantAnswer(1), '2': graphs.constantAnswer(2) },
    })
    await using runtime = await quietRuntime({
      models: [
        { name: 'm', version: '1', source: repository.path('m', '1') },
        { name: 'm', version: '2', source: repository.path('m', '2'), promote: true },
      ],
    })
    expect(await y(runtime, 'm')).toBe(2)
  })

  it('beside a model directory determines the active version', async () => {
    await using repository = tempRepository({
      m: { '1': graphs.constantAnswer(1), '2': graphs.constantAnswer(2) },
    })
    await using runtime = await quietRuntime({
      modelDir: repository.dir,
      models: [{ name: 'm', version: '1' }],
    })
    expect(await y(runtime, 'm')).toBe(1)
    expect(await y(runtime, 'm', '2')).toBe(2)
    expect(runtime.models.getModel('m')?.version).toBe('1')
  })
})

describe('a runtime that failed to start', () => {
  it('leaves no thread behind', async () => {
    await using repository = tempRepository({
      a: { '1': graphs.constantAnswer(1) },
      b: { '1': new Uint8Array(10) },
    })
    const moves: string[] = []
    const logger = testLogger(({ fields }) => {
      const { component, to } = fields as { component?: string; to?: string }
      if (component !== undefined && to !== undefined) moves.push(`${component} ${to}`)
    })
    expect(await codeOf(quietRuntime({ modelDir: repository.dir, logger }))).toBe('ERR_MODEL_LOAD')
    expect(moves).toContain('model a@1 stopped')
    expect(moves.slice(-1)).toEqual(['application tbcoin-engine error'])
  })
})

describe('loads', () => {
  it('run one at a time, so that other models keep their pace', async () => {
    await using repository = tempRepository({
      a: { '1': graphs.constantAnswer(1) },
      b: { '1': graphs.constantAnswer(2) },
      c: { '1': graphs.constantAnswer(3) },
    })
    await using runtime = await quietRuntime()
    const moves = movesOf(runtime)
    await Promise.all(
      ['a', 'b', 'c'].map((name) =>
        runtime.models.loadModel({ name, version: '1', source: repository.path(name, '1') }),
      ),
    )
    expect(moves.filter((move) => move.endsWith('>ready'))).toHaveLength(3)
    for (const [name, x] of [
      ['a', 1],
      ['b', 2],
      ['c', 3],
    ] as const) {
      expect(await y(runtime, name)).toBe(x)
    }
  })
})
