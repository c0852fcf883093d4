import { readFileSync } from 'node:fs'
import { afterAll, describe, expect, it } from 'vitest'
import * as graphs from '../../models/synthetic/graphs.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { runtime, start } from '../support/gated-runtime.js'
import { errorOf, yOf } from '../support/runtime-harness.js'
import { type Line, listLogger } from '../support/test-logger.js'

const repository = tempRepository({
  shift: { '1': graphs.constantAnswer(1), '2': graphs.constantAnswer(2) },
})
const broken = tempRepository({ half: { '1': graphs.bfloat16Output() } })
afterAll(() => {
  repository.dispose()
  broken.dispose()
})

const source = repository.path('shift', '1')
const load = (config: object): Promise<unknown> =>
  runtime.models.loadModel({ name: 'shift', version: '1', source, config })
const providerOf = (): string | undefined => runtime.models.getModel('shift')?.stats().provider

/** A provider that neither this build nor the build of another platform has. */
const nowhere = 'not-a-provider'
const remote = process.platform === 'linux' ? 'dml' : 'tensorrt'

describe('execution providers', () => {
  it('are the CPU by default', async () => {
    await start()
    await load({})
    expect(providerOf()).toBe('cpu')
  })

  it.each([
    ['a name', remote],
    ['an object', { name: remote, deviceId: 0 }],
    ['an unknown name', nowhere],
  ])(
    'are tried in order, and after %s that is not available the CPU serves, with one warning',
    async (_, first) => {
      const lines: Line[] = []
      await start({ logger: listLogger(lines), logLevel: 'warn', replicas: 'auto', processes: 1 })
      await load({ executionProviders: [first, 'cpu'] })
      expect(yOf(await runtime.predict('shift', { x: 1 }))).toBe(2)
      expect(providerOf()).toBe('cpu')
      const handle = runtime.models.getModel('shift')
      await handle?.resize('auto')
      const warnings = lines.filter(({ message }) => message.includes('execution providers'))
      expect(warnings).toHaveLength(1)
      expect(warnings[0]).toMatchObject({ level: 'warn', fields: { model: 'shift', version: '1' } })
    },
  )

  it.each([
    { executionProviders: [nowhere, remote] },
    { sessionOptions: { executionProviders: [nowhere, remote] } },
  ])('of which none is available fail the load with all reasons: %j', async (config) => {
    await start()
    const error = await errorOf(load(config))
    expect(error).toMatchObject({ code: 'ERR_MODEL_LOAD', model: 'shift', version: '1' })
    expect(error.message).toMatch(new RegExp(`${nowhere}: .*; ${remote}: `))
  })

  describe.runIf(process.platform === 'linux' && process.arch === 'x64')('with missing libraries', () => {
    const remedy = /load shared library .*ONNXRUNTIME_NODE_INSTALL.*install\.js/

    it('name the source of the libraries in the error', async () => {
      await start()
      const error = await errorOf(load({ executionProviders: ['cuda'] }))
      expect(error).toMatchObject({ code: 'ERR_MODEL_LOAD' })
      expect(error.message).toMatch(remedy)
    })

    it('name the source of the libraries in the warning', async () => {
      const lines: Line[] = []
      await start({ logger: listLogger(lines), logLevel: 'warn' })
      await load({ executionProviders: ['cuda', 'cpu'] })
      const warning = lines.find(({ level }) => level === 'warn')
      expect(warning?.fields.skipped).toEqual([{ name: 'cuda', reason: expect.stringMatching(remedy) }])
    })
  })

  it('are not blamed for a model that no provider can load', async () => {
    await start()
    const loading = runtime.models.loadModel({
      name: 'half',
      version: '1',
      source: broken.path('half', '1'),
      config: { executionProviders: [remote, 'cpu'] },
    })
    expect(await errorOf(loading)).toMatchObject({ code: 'ERR_UNSUPPORTED_MODEL' })
  })

  it.each([[[3]], [[{ deviceId: 0 }]], [['']], [[]]])(
    'are refused if they are invalid: %j',
    async (providers) => {
      await start()
      const error = await errorOf(load({ executionProviders: providers }))
      expect(error).toMatchObject({ code: 'ERR_INVALID_OPTIONS' })
      expect(error.message).toContain('executionProviders')
    },
  )
})

describe('more than one replica on a provider other than the CPU', () => {
  const refused = { code: 'ERR_INVALID_OPTIONS', model: 'shift', version: '1' }

  it.each([
    ['replicas', { executionProviders: [nowhere, 'cpu'], replicas: 2 }],
    ['replicas', { sessionOptions: { executionProviders: [{ name: nowhere }] }, replicas: 3 }],
    ['minReplicas', { executionProviders: [nowhere, 'cpu'], replicas: 'auto', minReplicas: 2 }],
  ])('is refused by the model option %s', async (setting, config) => {
    await start()
    const error = await errorOf(load(config))
    expect(error).toMatchObject(refused)
    expect(error.message).toMatch(new RegExp(`\`${setting}\` is \\d, .* ${nowhere} has one replica`))
  })

  it('is refused as an option of the runtime, in a manifest and by resize', async () => {
    await start({ replicas: 2 })
    expect(await errorOf(load({ executionProviders: [nowhere, 'cpu'] }))).toMatchObject(refused)
    await load({ executionProviders: [nowhere, 'cpu'], replicas: 1 })
    const handle = runtime.models.getModel('shift')
    expect(await errorOf(handle?.resize(2) as Promise<void>)).toMatchObject(refused)
    expect(handle?.stats().pool?.replicas).toBe(1)
    repository.writeManifest('shift', { executionProviders: [nowhere, 'cpu'], replicas: 4 })
    await runtime.close()
    expect(JSON.parse(readFileSync(source.replace('1/model.onnx', 'model.json'), 'utf8')).replicas).toBe(4)
    expect(await errorOf(start({ modelDir: repository.dir }))).toMatchObject({ ...refused, version: '2' })
  })

  it('is refused in a swap, and the active version keeps serving', async () => {
    await start()
    await load({})
    const swap = runtime.models.hotSwapModel({
      name: 'shift',
      newVersion: '2',
      source: repository.path('shift', '2'),
      config: { executionProviders: [nowhere, 'cpu'], replicas: 2 },
    })
    expect(await errorOf(swap)).toMatchObject({ ...refused, version: '2' })
    expect(yOf(await runtime.predict('shift', { x: 1 }))).toBe(2)
  })
})
