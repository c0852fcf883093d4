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

  it('names the option for a file that Node cannot import by itself', async () => {
    using folder = tempFolder()
    const module = join(folder.path, 'loader.coffee')
    writeFileSync(module, 'load = ->')
    runtime.models.registerModelLoader('gated', module)
    const error = await errorOf(runtime.models.loadModel({ ...gated(), version: '1' }))
    expect(error.code).toBe('ERR_MODEL_LOAD')
    expect(error.message).toMatch(/replicaExecArgv.*Unknown file extension/)
  })

  it('takes a module that is not there, or that exports no load, which fails the load by name', async () => {
    runtime.models.registerModelLoader('gated', '/no/such/loader.mjs')
    const missing = await errorOf(runtime.models.loadModel({ ...gated(), version: '1' }))
    expect(missing).toMatchObject({ code: 'ERR_MODEL_LOAD', model: 'gated', version: '1' })
    expect(missing.message).toContain('/no/such/loader.mjs')
    runtime.models.registerModelLoader('gated', new URL('../../process/children/child-kit.mjs', gatedLoader))
    const other = await errorOf(runtime.models.loadModel({ ...gated(), version: '1' }))
    expect(other).toMatchObject({ code: 'ERR_MODEL_LOAD', model: 'gated', version: '1' })
    expect(other.message).toContain('"load"')
  })
})

describe('a model of a custom loader', () => {
  it('whose run throws an error of this library rejects the request with that error', async () => {
    await loadGated(runtime, '1')
    const error = await errorOf(ask(runtime, 1, 'throw-ours'))
    expect(error).toMatchObject({ code: 'ERR_UNSUPPORTED_MODEL', message: 'not that one' })
    expect(error).toBeInstanceOf(errors.ERR_UNSUPPORTED_MODEL)
  })

  it('whose outputs cannot be sent rejects that request and keeps its thread', async () => {
    await loadGated(runtime, '1')
    expect(await codeOf(ask(runtime, 1, 'unclonable'))).toBe('ERR_INFERENCE')
    expect(await ask(runtime, 1, 'kept')).toBe(0)
    expect(await codeOf(ask(runtime, 1, 'kept'))).toBe('ERR_INFERENCE')
    expect(await ask(runtime, 2)).toBe(2)
    expect(runtime.models.getModel('gated')?.stats().pool?.restarts).toBe(0)
  })
})
