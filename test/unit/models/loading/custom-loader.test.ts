import { beforeEach, describe, expect, it } from 'vitest'
import { ask, codeOf, errorOf, gated, gatedLoader, loadGated } from '../../../support/runtime-harness.js'
import { machine, runtime, start, useSimulatedRuntime } from '../../../support/simulated-runtime.js'

useSimulatedRuntime()

describe('registerModelLoader', () => {
  it('refuses a function and says why', async () => {
    await start()
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
  ])('refuses %o with %o', async (type, module) => {
    await start()
    expect(() => runtime.models.registerModelLoader(type as never, module as never)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_OPTIONS' }),
    )
  })

  it('comes before the first load of a model of its type', async () => {
    await start()
    const error = await errorOf(runtime.models.loadModel({ ...gated(), version: '1' }))
    expect(error.code).toBe('ERR_INVALID_OPTIONS')
    expect(error.message).toMatch(/"gated".*known: onnx/)
    expect(runtime.models.listModels()).toEqual([])
  })
})

describe('a loader that returns what is no model', () => {
  const odd = new URL('../../../support/loaders/odd-loader.mjs', import.meta.url)

  beforeEach(async () => {
    machine.loaders.set(odd.href, (await import(odd.href)).load)
    await start()
    runtime.models.registerModelLoader('odd', odd)
  })

  const load = (loaderOptions: object) =>
    runtime.models.loadModel({
      name: 'odd',
      version: '1',
      modelType: 'odd',
      source: odd,
      config: { loaderOptions },
    })

  it.each([
    ['nothing', /`signature.inputs` is undefined, an array/],
    ['no signature', /`signature.inputs` is undefined, an array/],
    ['no outputs', /`signature.outputs` is undefined, an array/],
    ['a type that is none', /`signature.inputs\[0\].type` is 'float'; known: float32/],
    ['a dim that is none', /`signature.outputs\[0\].dims` is \[ -1 \]/],
    ['odd unsupported outputs', /`signature.unsupported` is \[ 'z' \], an array of names and reasons/],
    ['no run', /`run` is undefined, a function/],
    ['an odd release', /`release` is 3/],
  ])('but %s fails the load, and the message says why', async (loads, message) => {
    const error = await errorOf(load({ loads }))
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
  ])('whose run returns %s fails that request, and the message says why', async (answers, message) => {
    await load({ answers })
    const error = await errorOf(runtime.predict('odd', { x: 1 }))
    expect(error).toMatchObject({ code: 'ERR_INFERENCE', model: 'odd', version: '1' })
    expect(error.message).toMatch(message)
    expect(runtime.models.getModel('odd')?.stats().pool?.restarts).toBe(0)
  })
})

describe('a model of a custom loader', () => {
  it('has the signature of its loader, and its input is checked against it', async () => {
    await start()
    const handle = await loadGated(runtime, '1', { offset: 3 })
    expect(handle.signature?.inputs.map((spec) => spec.name)).toEqual(['x', 'do'])
    expect(await ask(runtime, 1)).toBe(4)
    expect(await codeOf(runtime.predict('gated', { x: 1 }))).toBe('ERR_INVALID_INPUT')
  })

  it('whose run throws rejects the request with the error as the cause', async () => {
    await start()
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

  it('can be swapped like any other, but not for one with another signature', async () => {
    await start()
    await loadGated(runtime, '1')
    const swap = runtime.models.hotSwapModel({ ...gated({ extraInput: 'z' }), newVersion: '2' })
    const error = await errorOf(swap)
    expect(error).toMatchObject({ code: 'ERR_SIGNATURE_MISMATCH', model: 'gated', version: '2' })
    expect(error.message).toContain('"z"')
    await runtime.models.hotSwapModel({ ...gated({ offset: 1 }), newVersion: '2' })
    expect(await ask(runtime, 1)).toBe(2)
  })
})
