import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { errors, type Runtime } from 'tbcoin-engine'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { tempFolder } from '../../models/synthetic/temp-folder.js'
import {
  ask,
  codeOf,
  errorOf,
  gated,
  gatedLoader,
  loadGated,
  quietRuntime,
} from '../support/runtime-harness.js'

let runtime: Runtime

beforeEach(async () => {
  runtime = await quietRuntime()
})

afterEach(() => runtime.close())

describe('registerModelLoader', () => {
  it('takes a file URL, a URL in text and a path', async () => {
    let version = 0
    for (const module of [gatedLoader, gatedLoader.href, fileURLToPath(gatedLoader)]) {
      version += 1
      runtime.models.registerModelLoader('gated', module)
      await runtime.models.loadModel({ ...gated({ offset: version }), version: String(version) })
      expect(await ask(runtime, 0, '', { version: String(version) })).toBe(version)
    }
  })

  it('refuses a function and says why', () => {
    const load = async (): Promise<never> => {
      throw new Error('never called')
    }
    expect(() => runtime.models.registerModelLoader('mine', load as never)).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_OPTIONS',
        message: expect.stringMatching(/"mine" is a function.*worker thread.*new URL/),
      }),
    )
  })

  it.each([
    ['', gatedLoader],
    [3, gatedLoader],
    ['x', undefined],
    ['x', {}],
    ['x', new URL('https://example.org/loader.js')],
  ])('refuses %o with %o', (type, module) => {
    expect(() => runtime.models.registerModelLoader(type as never, module as never)).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/ERR_INVALID_OPTIONS/) }),
    )
  })

  it('is needed before a model of that type is loaded', async () => {
    const error = await errorOf(runtime.models.loadModel({ ...gated(), version: '1' }))
    expect(error.code).toBe('ERR_INVALID_OPTIONS')
    expect(error.message).toMatch(/"gated".*known: onnx/)
    expect(runtime.models.listModels()).toEqual([])
  })

  it('of a file that Node cannot import by itself names the option for that', async () => {
    using folder = tempFolder()
    const module = join(folder.path, 'loader.coffee')
    writeFileSync(module, 'load = ->')
    runtime.models.registerModelLoader('gated', module)
    const error = await errorOf(runtime.models.loadModel({ ...gated(), version: '1' }))
    expect(error.code).toBe('ERR_MODEL_LOAD')
    expect(error.message).toMatch(/replicaExecArgv.*Unknown file extension/)
  })

  it('of a module that is not there, or exports no load, fails the load by name', async () => {
    runtime.models.registerModelLoader('gated', '/no/such/loader.mjs')
    const missing = await errorOf(runtime.models.loadModel({ ...gated(), version: '1' }))
    expect(missing).toMatchObject({ code: 'ERR_MODEL_LOAD', model: 'gated', version: '1' })
    expect(missing.message).toContain('/no/such/loader.mjs')
    runtime.models.registerModelLoader('gated', new URL('../runtime-harness.js', gatedLoader))
    runtime.models.registerModelLoader('gated', new URL('../../../vitest.config.ts', gatedLoader))
    const other = await errorOf(runtime.models.loadModel({ ...gated(), version: '1' }))
    expect(other).toMatchObject({ code: 'ERR_MODEL_LOAD', model: 'gated', version: '1' })
  })
})

describe('a loader that is odd', () => {
  const odd = fileURLToPath(new URL('../support/loaders/odd-loader.mjs', import.meta.url))

  it.each([
    ['nothing', /`signature.inputs` is undefined, an array/],
    ['no signature', /`signature.inputs` is undefined, an array/],
    ['no outputs', /`signature.outputs` is undefined, an array/],
    ['a type that is none', /`signature.inputs\[0\].type` is 'float'; known: float32/],
    ['a dim that is none', /`signature.outputs\[0\].dims` is \[ -1 \]/],
    ['odd unsupported outputs', /`signature.unsupported` is \[ 'z' \], an array of names and reasons/],
    ['no run', /`run` is undefined, a function/],
    ['an odd release', /`release` is 3/],
  ])('and resolves with %s fails its load, and says why', async (loads, message) => {
    runtime.models.registerModelLoader('odd', odd)
    const load = {
      name: 'odd',
      version: '1',
      modelType: 'odd',
      source: odd,
      config: { loaderOptions: { loads } },
    }
    const error = await errorOf(runtime.models.loadModel(load))
    expect(error).toMatchObject({ code: 'ERR_MODEL_LOAD', model: 'odd', version: '1' })
    expect(error.message).toMatch(message)
  })

  it.each([
    ['nothing', /"y" that has type undefined, the signature says 'float32'/],
    ['no output', /"y" that has type undefined/],
    ['another type', /"y" that has type 'int32'/],
    ['odd dims', /"y" that has dims \[ 'n' \]/],
    ['another class', /"y" that has data that is no Float32Array/],
    ['another count', /"y" that has 1 elements, its dims \[5\] need 5/],
  ])('and answers with %s fails that request, and says why', async (answers, message) => {
    runtime.models.registerModelLoader('odd', odd)
    const config = { loaderOptions: { answers } }
    await runtime.models.loadModel({ name: 'odd', version: '1', modelType: 'odd', source: odd, config })
    const error = await errorOf(runtime.predict('odd', { x: 1 }))
    expect(error).toMatchObject({ code: 'ERR_INFERENCE', model: 'odd', version: '1' })
    expect(error.message).toMatch(message)
    expect(runtime.models.getModel('odd')?.stats().pool?.restarts).toBe(0)
  })
})

describe('a model of a custom loader', () => {
  it('has the signature of its loader, and its input is checked against it', async () => {
    const handle = await loadGated(runtime, '1', { offset: 3 })
    expect(handle.signature?.inputs.map((spec) => spec.name)).toEqual(['x', 'do'])
    expect(await ask(runtime, 1)).toBe(4)
    expect(await codeOf(runtime.predict('gated', { x: 1 }))).toBe('ERR_INVALID_INPUT')
  })

  it('whose run throws rejects with the error as its cause', async () => {
    await loadGated(runtime, '1')
    expect(await errorOf(ask(runtime, 1, 'throw'))).toMatchObject({
      code: 'ERR_INFERENCE',
      model: 'gated',
      version: '1',
      message: expect.stringContaining('out of range'),
      cause: { name: 'RangeError', code: 'E_RANGE', size: 3 },
    })
    expect((await errorOf(ask(runtime, 1, 'throw-text'))).message).toContain('just words')
    expect(await ask(runtime, 2)).toBe(2)
  })

  it('whose run throws an error of this library rejects with that one', async () => {
    await loadGated(runtime, '1')
    const error = await errorOf(ask(runtime, 1, 'throw-ours'))
    expect(error).toMatchObject({ code: 'ERR_UNSUPPORTED_MODEL', message: 'not that one' })
    expect(error).toBeInstanceOf(errors.ERR_UNSUPPORTED_MODEL)
  })

  it('whose answer cannot be sent rejects that request and keeps its thread', async () => {
    await loadGated(runtime, '1')
    expect(await codeOf(ask(runtime, 1, 'unclonable'))).toBe('ERR_INFERENCE')
    expect(await ask(runtime, 1, 'kept')).toBe(0)
    expect(await codeOf(ask(runtime, 1, 'kept'))).toBe('ERR_INFERENCE')
    expect(await ask(runtime, 2)).toBe(2)
    expect(runtime.models.getModel('gated')?.stats().pool?.restarts).toBe(0)
  })

  it('can be swapped like any other, but not for one with another signature', async () => {
    await loadGated(runtime, '1')
    const swap = runtime.models.hotSwapModel({ ...gated({ extraInput: 'z' }), newVersion: '2' })
    const error = await errorOf(swap)
    expect(error).toMatchObject({ code: 'ERR_SIGNATURE_MISMATCH', model: 'gated', version: '2' })
    expect(error.message).toContain('"z"')
    await runtime.models.hotSwapModel({ ...gated({ offset: 1 }), newVersion: '2' })
    expect(await ask(runtime, 1)).toBe(2)
  })
})
