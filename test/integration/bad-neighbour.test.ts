import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { LoadModelOptions, ModelHandle } from 'tbcoin-engine'
import { describe, expect, it, onTestFinished } from 'vitest'
import { constantAnswer } from '../../models/synthetic/graphs.js'
import { squaresUntilFive, weightsAt } from '../../models/synthetic/hostile-graphs.js'
import { tempFolder } from '../../models/synthetic/temp-folder.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { gate, runtime, start } from '../support/gated-runtime.js'
import { gated, gatedLoader, yOf } from '../support/runtime-harness.js'

const isPosix = process.platform !== 'win32'
const hanging = new URL('../support/loaders/hanging-loader.mjs', import.meta.url)

/**
 * Starts a runtime without time limits that serves `known@2` and `swapped@2`, and has loaded nothing else.
 */
async function begin(folder: string): Promise<void> {
  const repository = tempRepository({
    known: { '1': constantAnswer(2), '2': constantAnswer(3) },
    swapped: { '1': constantAnswer(4), '2': constantAnswer(5) },
  })
  onTestFinished(() => repository.dispose())
  await start({
    modelDir: repository.dir,
    cacheDir: join(folder, 'cache'),
    loadTimeoutMs: 0,
    artifacts: { timeoutMs: 0, minBytes: 0 },
    loaders: { gated: gatedLoader, hanging },
  })
  repository.write('new', '1', constantAnswer(1))
}

/**
 * Starts bad loads, then loads, warms up and swaps other models, which would never complete if they waited
 * for the bad ones. Returns the outcomes of the bad loads, and how many of these had ended by then.
 */
async function besideOthers(...bad: readonly Omit<LoadModelOptions, 'name' | 'version'>[]) {
  const { models } = runtime
  let overCount = 0
  const outcomes = bad.map(async (each, index) => {
    const load = models.loadModel({ ...each, name: `bad${index}`, version: '1' })
    const outcome = await load.catch((error: Error) => error)
    overCount += 1
    return outcome
  })
  const [loaded, cold] = await Promise.all([
    models.loadModel({ name: 'new', version: '1' }),
    runtime.predict('known', { x: [1] }, { version: '1' }),
    models.hotSwapModel({ name: 'swapped', newVersion: '1' }),
  ])
  const overMeanwhile = overCount
  expect(yOf(await loaded.predict({ x: [1] }))).toBe(2)
  expect(yOf(cold)).toBe(3)
  expect(yOf(await runtime.predict('swapped', { x: [1] }))).toBe(5)
  return { outcomes: Promise.all(outcomes), overMeanwhile }
}

describe('other models load, start cold and swap in the meantime of', () => {
  it.runIf(isPosix)(
    'a load of models and weights that are pipes, sockets or devices, which is refused',
    async () => {
      using folder = tempFolder()
      const at = (name: string): string => join(folder.path, name)
      execFileSync('mkfifo', [at('pipe')])
      symlinkSync('/dev/zero', at('zero'))
      const server = createServer().listen(at('socket'))
      await once(server, 'listening')
      onTestFinished(() => void server.close())
      const special = ['pipe', 'zero', 'socket']
      // onnxruntime itself refuses these.
      const outside = ['../../../../../../../../dev/zero', '/dev/zero']
      const models = [...special, ...outside].map((location, index) => {
        writeFileSync(at(`${index}.onnx`), weightsAt(location))
        return at(`${index}.onnx`)
      })
      await begin(folder.path)
      const sources = [...models, ...special.map(at)]
      const { outcomes } = await besideOthers(...sources.map((source) => ({ source })))
      const reasons = [
        ...['is a pipe', 'is a device', 'is a socket'],
        ...outside.map(() => 'External data path'),
        ...special.map(() => 'it is no regular file'),
      ]
      expect(await outcomes).toMatchObject(
        reasons.map((reason) => ({ code: 'ERR_MODEL_LOAD', message: expect.stringContaining(reason) })),
      )
    },
  )

  it('a load of a model that never returns for made-up inputs, which is served', async () => {
    using folder = tempFolder()
    await begin(folder.path)
    const source = join(folder.path, 'model.onnx')
    writeFileSync(source, squaresUntilFive())
    const { outcomes } = await besideOthers({ source })
    const [bad] = (await outcomes) as [ModelHandle]
    expect(yOf(await bad.predict({ x: [2] }))).toBe(16)
  })

  it('a load of a model that never returns for its sample while its artifact is built', async () => {
    using folder = tempFolder()
    await begin(folder.path)
    const source = join(folder.path, 'model.onnx')
    writeFileSync(source, squaresUntilFive())
    const config = { sample: { input: { x: [1] } } }
    const { outcomes, overMeanwhile } = await besideOthers({ source, config })
    expect(overMeanwhile).toBe(0)
    await runtime.close()
    expect(await outcomes).toEqual([expect.objectContaining({ code: 'ERR_RUNTIME_CLOSED' })])
  })

  it('loads by loaders that never return, waiting or busy', async () => {
    using folder = tempFolder()
    await begin(folder.path)
    const load = (how: 'waits' | 'spins') => ({
      modelType: 'hanging',
      source: fileURLToPath(hanging),
      config: { loaderOptions: { how } },
    })
    const { overMeanwhile } = await besideOthers(load('waits'), load('spins'), load('waits'), load('waits'))
    expect(overMeanwhile).toBe(0)
    await runtime.close({ timeoutMs: 0 })
  })

  it('a load by a loader that is blocked in native code', async () => {
    using folder = tempFolder()
    await begin(folder.path)
    const held = gate()
    const { name: _, ...bad } = gated({ gate: held, hold: ['load'] })
    const { outcomes, overMeanwhile } = await besideOthers(bad)
    expect(overMeanwhile).toBe(0)
    held.openForGood()
    expect(await outcomes).toEqual([expect.objectContaining({ name: 'bad0' })])
  })
})
