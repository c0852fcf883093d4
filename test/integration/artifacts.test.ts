import { statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ModelHandle, Outputs } from 'tbcoin-engine'
import { describe, expect, it } from 'vitest'
import { catalogueCases } from '../../models/synthetic/catalogue-cases.js'
import * as graphs from '../../models/synthetic/graphs.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { firstDifference } from '../../src/tensors/batch/difference.js'
import {
  flipByte,
  formOf,
  onlyEntry,
  sizeOf,
  small,
  tempFolder,
  unfinished,
  valuesOf,
} from '../support/artifacts-harness.js'
import { runtime, start } from '../support/gated-runtime.js'
import { allServing, errorOf, yOf } from '../support/runtime-harness.js'
import { type Line, listLogger } from '../support/test-logger.js'

const tensorsOf = (outputs: Outputs) =>
  Object.keys(outputs)
    .sort()
    .map((name) => outputs[name] as Outputs[string])
const built = (lines: readonly Line[]): number =>
  lines.filter(({ message }) => message === 'artifact built').length
const warnings = (lines: readonly Line[]): Line[] => lines.filter(({ level }) => level === 'warn')

/** 4 MiB of weights, and what it answers. */
const wide = {
  x: {
    type: 'float32' as const,
    dims: [1, 1024],
    data: Float32Array.from({ length: 1024 }, (_, i) => Math.sin(i)),
  },
}

describe('the artifact of a model', () => {
  it.each(catalogueCases)(
    'of $name $version is $forms and answers as the original',
    async ({ name, version, source, forms, input }) => {
      using cache = tempFolder()
      await start({ cacheDir: cache.path, artifacts: small })
      const sample = { input: input(1) }
      await runtime.models.loadModel({ name, version, source, config: { sample } })
      await runtime.models.loadModel({ name: 'plain', version, source, config: { artifacts: 'off' } })
      expect(forms).toContain(formOf(runtime, name)?.form)
      expect(formOf(runtime, 'plain')?.form).toBe('original')
      for (const seed of [1, 2, 3]) {
        const [expected, actual] = await Promise.all([
          runtime.predict('plain', input(seed)),
          runtime.predict(name, input(seed)),
        ])
        expect(
          firstDifference(tensorsOf(expected), tensorsOf(actual), { rtol: 1e-3, atol: 1e-5 }),
        ).toBeUndefined()
      }
      expect(unfinished(cache.path)).toEqual([])
    },
  )

  it('is built once, for all runtimes and paths', async () => {
    using cache = tempFolder()
    using models = tempRepository({ m: { '1': graphs.bigLoad(4), '2': graphs.bigLoad(4) } })
    const lines: Line[] = []
    const options = { cacheDir: cache.path, logger: listLogger(lines) }
    for (const version of ['1', '2', '1']) {
      await start(options)
      const config = { sample: { input: wide } }
      await runtime.models.loadModel({ name: 'm', version, source: models.path('m', version), config })
      expect(formOf(runtime, 'm')?.form).toBe('prepacked')
      await runtime.close()
    }
    expect(built(lines)).toBe(1)
    expect(onlyEntry(cache.path).files).toEqual(['manifest', 'model.onnx', 'weights.bin'])
  })

  it('is another one when the external data of the model has changed', async () => {
    using cache = tempFolder()
    const model = graphs.externalData()
    using models = tempRepository({ m: { '1': model } })
    const lines: Line[] = []
    await start({ cacheDir: cache.path, artifacts: small, logger: listLogger(lines) })
    const ask = async (): Promise<number> => {
      const config = { sample: { input: { x: [0, 0, 0, 0] } } }
      await runtime.models.loadModel({ name: 'm', version: '1', source: models.path('m', '1'), config })
      const y = yOf(await runtime.predict('m', { x: [0, 0, 0, 0] }))
      await runtime.models.unloadModel('m')
      return y
    }
    expect(await ask()).toBe(1)
    expect(await ask()).toBe(1)
    expect(built(lines)).toBe(1)
    models.write('m', '1', { ...model, data: new Uint8Array(Float32Array.of(5, 6, 7, 8).buffer) })
    expect(await ask()).toBe(5)
    expect(built(lines)).toBe(2)
  })

  it('is not built of a small model, unless it shall be', async () => {
    using cache = tempFolder()
    using models = tempRepository({ m: { '1': graphs.constantAnswer(1) } })
    await start({ cacheDir: cache.path })
    const config = { sample: { input: { x: [1] } } }
    await runtime.models.loadModel({ name: 'm', version: '1', source: models.path('m', '1'), config })
    expect(formOf(runtime, 'm')).toMatchObject({
      form: 'original',
      reason: expect.stringContaining('minBytes'),
    })
  })

  it('is built of the first requests where no sample is given, and none of them notices', async () => {
    using cache = tempFolder()
    using models = tempRepository({ m: { '1': graphs.bigLoad(4) } })
    const lines: Line[] = []
    await start({ cacheDir: cache.path, replicas: 2, logger: listLogger(lines) })
    await runtime.models.loadModel({ name: 'm', version: '1', source: models.path('m', '1') })
    expect(formOf(runtime, 'm')).toMatchObject({
      form: 'original',
      reason: expect.stringContaining('no valid input'),
    })
    const expected = valuesOf(await runtime.predict('m', wide))
    const decided = new Promise((resolve) => runtime.once('artifactDecided', resolve))
    let isOver = false
    let answers = 0
    const callers = Array.from({ length: 4 }, async () => {
      while (!isOver) {
        const actual = await runtime.predict('m', wide)
        expect(
          firstDifference(tensorsOf(await runtime.predict('m', wide)), tensorsOf(actual), {
            rtol: 1e-4,
            atol: 1e-6,
          }),
        ).toBeUndefined()
        answers += 2
      }
    })
    expect(await decided).toMatchObject({ model: 'm', version: '1', form: 'prepacked' })
    isOver = true
    await Promise.all(callers)
    await allServing(runtime.models.getModel('m') as ModelHandle)
    expect(formOf(runtime, 'm')).toEqual({ form: 'prepacked', reason: undefined })
    expect(runtime.models.getModel('m')?.stats()).toMatchObject({
      errors: 0,
      requests: answers + 1,
      pool: { replicas: 2 },
    })
    expect(valuesOf(await runtime.predict('m', wide))).toEqual(expected)
    expect(warnings(lines)).toEqual([])
  })

  it('is not built any more once the version is unloaded', async () => {
    using cache = tempFolder()
    using models = tempRepository({ m: { '1': graphs.bigLoad(4) } })
    await start({ cacheDir: cache.path })
    const told: unknown[] = []
    runtime.on('artifactDecided', (decision) => told.push(decision))
    await runtime.models.loadModel({ name: 'm', version: '1', source: models.path('m', '1') })
    // The third starts the builder.
    await Promise.all([1, 2, 3].map(() => runtime.predict('m', wide)))
    await runtime.models.unloadModel('m')
    await runtime.close()
    expect(told).toEqual([])
    expect(runtime.models.listModels()).toEqual([])
  })
})

describe('an entry of the cache that is damaged', () => {
  const damages: readonly [string, (folder: string) => void][] = [
    ...['manifest', 'model.onnx', 'weights.bin'].flatMap((file): [string, (folder: string) => void][] => [
      [`of which the first byte of ${file} has changed`, (folder) => flipByte(join(folder, file), 0)],
      [
        `of which the last byte of ${file} has changed`,
        (folder) => flipByte(join(folder, file), sizeOf(join(folder, file)) - 1),
      ],
      [
        `of which ${file} is cut short`,
        (folder) => truncateSync(join(folder, file), sizeOf(join(folder, file)) >> 1),
      ],
      [`of which ${file} is empty`, (folder) => writeFileSync(join(folder, file), '')],
    ]),
  ]

  it('is built anew, whatever is wrong with it, and no answer is', async () => {
    using cache = tempFolder()
    using models = tempRepository({ m: { '1': graphs.bigLoad(4) } })
    const lines: Line[] = []
    await start({ cacheDir: cache.path, logger: listLogger(lines) })
    const answer = async (): Promise<unknown> => {
      const config = { sample: { input: wide } }
      await runtime.models.loadModel({ name: 'm', version: '1', source: models.path('m', '1'), config })
      expect(formOf(runtime, 'm')?.form).toBe('prepacked')
      const values = valuesOf(await runtime.predict('m', wide))
      await runtime.models.unloadModel('m')
      return values
    }
    const expected = await answer()
    for (const [index, [what, damage]] of damages.entries()) {
      damage(onlyEntry(cache.path).folder)
      expect(await answer(), what).toEqual(expected)
      expect(built(lines), what).toBe(index + 2)
    }
    expect(unfinished(cache.path)).toEqual([])
    expect(warnings(lines)).toEqual([])
  })
})

describe('where no artifact can be kept', () => {
  it('models are served as they are, with one warning', async () => {
    using folder = tempFolder()
    const cacheDir = join(folder.path, 'a-file')
    writeFileSync(cacheDir, '')
    using models = tempRepository({ m: { '1': graphs.bigLoad(4), '2': graphs.bigLoad(4) } })
    const lines: Line[] = []
    await start({ cacheDir, logger: listLogger(lines) })
    for (const version of ['1', '2']) {
      const config = { sample: { input: wide } }
      await runtime.models.loadModel({ name: 'm', version, source: models.path('m', version), config })
      await runtime.predict('m', wide, { version })
    }
    expect(formOf(runtime, 'm')).toMatchObject({
      form: 'original',
      reason: expect.stringContaining('no cache'),
    })
    expect(warnings(lines)).toHaveLength(1)
    expect(warnings(lines)[0]?.fields).toMatchObject({ cacheDir, err: { code: 'ENOTDIR' } })
  })

  it('a builder that does not come up is none, and models are served as they are', async () => {
    using cache = tempFolder()
    using models = tempRepository({ m: { '1': graphs.constantAnswer(1) } })
    const lines: Line[] = []
    await start({
      cacheDir: cache.path,
      builderEntry: join(cache.path, 'nowhere.js'),
      logger: listLogger(lines),
    })
    await runtime.models.loadModel({ name: 'm', version: '1', source: models.path('m', '1') })
    expect(yOf(await runtime.predict('m', { x: [1] }))).toBe(2)
    expect(warnings(lines).map(({ message }) => message)).toEqual([
      expect.stringContaining('artifact builder failed'),
    ])
  })

  it('a build that takes too long is given up, and the model is served as it is', async () => {
    using cache = tempFolder()
    using models = tempRepository({ m: { '1': graphs.bigLoad(32) } })
    const lines: Line[] = []
    await start({ cacheDir: cache.path, logger: listLogger(lines) })
    // What is known of the file is not to be found out within the limit.
    await runtime.models.loadModel({ name: 'm', version: '1', source: models.path('m', '1') })
    await runtime.close()
    await start({ cacheDir: cache.path, artifacts: { timeoutMs: 20 }, logger: listLogger(lines) })
    const config = { sample: { input: wide } }
    await runtime.models.loadModel({ name: 'm', version: '1', source: models.path('m', '1'), config })
    expect(formOf(runtime, 'm')?.form).toBe('original')
    expect(warnings(lines)).toHaveLength(1)
    expect(unfinished(cache.path)).toEqual([])
  })
})

describe('a builder that takes more memory than it may', () => {
  it('is ended: what was not loaded yet is refused, what was to be built is served as it is', async () => {
    using cache = tempFolder()
    using models = tempRepository({ m: { '1': graphs.bigLoad(300) } })
    const lines: Line[] = []
    const artifacts = { maxBuilderBytes: 2 ** 28 }
    await start({ cacheDir: cache.path, artifacts, logger: listLogger(lines) })
    const load = { name: 'm', version: '1', source: models.path('m', '1') }
    const error = await errorOf(runtime.models.loadModel(load))
    expect(error).toMatchObject({ code: 'ERR_MODEL_LOAD', model: 'm', version: '1' })
    expect(error.message).toMatch(/took more than 256 MiB of memory; the model was rejected/)
    expect(warnings(lines)).toEqual([])
    await runtime.models.loadModel({ ...load, config: { probe: 'off', sample: { input: wide } } })
    expect(formOf(runtime, 'm')?.form).toBe('original')
    expect(warnings(lines).map(({ fields }) => String(fields.err))).toEqual([
      expect.stringContaining('took more than 256 MiB of memory'),
    ])
    expect(unfinished(cache.path)).toEqual([])
  })
})

describe('the probe of a file', () => {
  it('is done once for what is known, also in another runtime', async () => {
    using cache = tempFolder()
    using models = tempRepository({ m: { '1': graphs.constantAnswer(1) } })
    // What was written a moment ago could be written again without a trace.
    await expect.poll(() => Date.now() - statSync(models.path('m', '1')).ctimeMs).toBeGreaterThan(100)
    await start({ cacheDir: cache.path })
    await runtime.models.loadModel({ name: 'm', version: '1', source: models.path('m', '1') })
    await runtime.close()
    // It could not be probed any more.
    await start({ cacheDir: cache.path, builderEntry: join(cache.path, 'nowhere.js') })
    await runtime.models.loadModel({ name: 'm', version: '1', source: models.path('m', '1') })
    expect(yOf(await runtime.predict('m', { x: [1] }))).toBe(2)
    expect(formOf(runtime, 'm')?.reason).toContain('minBytes')
  })

  it('that does not end in time is a load that fails', async () => {
    using cache = tempFolder()
    using models = tempRepository({ m: { '1': graphs.bigLoad(96) } })
    await start({ cacheDir: cache.path, loadTimeoutMs: 20 })
    const error = await errorOf(
      runtime.models.loadModel({ name: 'm', version: '1', source: models.path('m', '1') }),
    )
    expect(error).toMatchObject({ code: 'ERR_MODEL_LOAD', model: 'm', version: '1' })
    expect(error.message).toMatch(/did not return within 20 ms; the model was rejected/)
  })

  it('says of a damaged file what onnxruntime says', async () => {
    using folder = tempFolder()
    const source = join(folder.path, 'text.onnx')
    writeFileSync(source, 'this is no model\n'.repeat(1_000))
    await start({ cacheDir: join(folder.path, 'cache') })
    const probed = await errorOf(runtime.models.loadModel({ name: 'm', version: '1', source }))
    const config = { probe: 'off' as const }
    const unprobed = await errorOf(runtime.models.loadModel({ name: 'n', version: '1', source, config }))
    expect(probed).toMatchObject({ code: 'ERR_MODEL_LOAD', message: unprobed.message })
  })
})
