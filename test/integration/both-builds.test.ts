import { createRequire } from 'node:module'
import * as esm from 'tbcoin-engine'
import { afterEach, describe, expect, it } from 'vitest'
import * as graphs from '../../models/synthetic/graphs.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { ChannelMessages } from '../support/channel-messages.js'
import { guardSlots, processParts } from '../support/process-parts.js'

const cjs = createRequire(import.meta.url)('tbcoin-engine') as typeof esm
const builds = { import: esm, require: cjs }

const listeners = (): number[] =>
  ['exit', 'SIGTERM', 'uncaughtException'].map((event) => process.listenerCount(event))

describe('the two builds of the package', () => {
  const open: esm.Runtime[] = []
  afterEach(async () => {
    await Promise.all(open.splice(0).map((runtime) => runtime.close()))
  })

  it('are two copies with the same exports', () => {
    expect(cjs.createRuntime).not.toBe(esm.createRuntime)
    expect(Object.keys(cjs).sort()).toEqual(Object.keys(esm).sort())
  })

  it('recognise each other’s errors', () => {
    for (const [mine, other] of [
      [esm, cjs],
      [cjs, esm],
    ] as const) {
      const error: unknown = new other.errors.ERR_MODEL_NOT_FOUND('there is none')
      expect(mine.isRuntimeError(error)).toBe(true)
      expect(error).toBeInstanceOf(mine.RuntimeError)
      expect(error).toBeInstanceOf(mine.errors.ERR_MODEL_NOT_FOUND)
      expect(error).not.toBeInstanceOf(mine.errors.ERR_MODEL_LOAD)
      class Own extends mine.RuntimeError {}
      expect(error).not.toBeInstanceOf(Own)
      expect(new Own('ERR_MODEL_NOT_FOUND', 'mine')).toBeInstanceOf(Own)
      expect(new Error('none of theirs')).not.toBeInstanceOf(mine.RuntimeError)
    }
  })

  it('publish on the same diagnostics channels', async () => {
    using closes = new ChannelMessages<esm.EngineEventMap['closed']>('tbcoin-engine:closed')
    for (const [appName, build] of Object.entries(builds)) {
      const runtime = await build.createRuntime({ appName, logLevel: 'silent' })
      await runtime.close()
    }
    expect(closes.messages.map(({ subject }) => subject)).toEqual([
      { kind: 'application', name: 'import' },
      { kind: 'application', name: 'require' },
    ])
  })

  it('serve beside each other with one guard and one set of process handlers', async () => {
    await using repository = tempRepository({ answer: { '1': graphs.constantAnswer(7) } })
    const models = [{ name: 'answer', version: '1', source: repository.path('answer', '1') }]
    const start = async (build: keyof typeof builds): Promise<void> => {
      const options = { logLevel: 'silent', replicas: 1, handleSignals: true, models } as const
      open.push(await builds[build].createRuntime(options))
    }
    await start('import')
    const [slots, handlers, parts] = [guardSlots().size, listeners(), { ...processParts() }]
    await start('require')
    expect(guardSlots().size).toBe(slots + 1)
    expect(listeners()).toEqual(handlers)
    for (const [name, part] of Object.entries(processParts())) expect(part, name).toBe(parts[name])
    for (const runtime of open) {
      const { y } = await runtime.predict('answer', { x: [1] })
      expect(Number(y?.data[0])).toBe(8)
    }
  })
})
