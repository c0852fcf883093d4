import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, expect, it } from 'vitest'
import { Runtime } from '../../../src/runtime.js'
import type { Signature } from '../../../src/tensors/tensor.js'
import { createTestRuntime } from '../../../src/testing/index.js'
import { oneNumber, outcomeOf, serve, times, yOf } from '../../support/function-models.js'

describe('a test runtime', () => {
  it('is a runtime that answers without time where runs have no latency', async () => {
    const { runtime, clock } = await serve({ '1': times(2) })
    expect(runtime).toBeInstanceOf(Runtime)
    expect(yOf(await runtime.predict('m', { x: 3 }))).toBe(6)
    expect(clock.now()).toBe(0)
    expect(await runtime.health()).toMatchObject({ status: 'healthy' })
    await runtime.close()
    expect(clock.pending).toBe(0)
  })

  it('answers when the latency of the run has passed on its clock, a number or a function', async () => {
    const { runtime, clock } = await serve({ '1': times(2, { latencyMs: ({ x }) => Number(x?.data[0]) }) })
    let y: number | undefined
    const request = runtime.predict('m', { x: 5 }).then((outputs) => {
      y = yOf(outputs)
    })
    await clock.advance(4)
    expect(y).toBeUndefined()
    await clock.advance(1)
    expect(y).toBe(10)
    await request
    await runtime.close()
  })

  it('has counts, latencies and descriptions of its replicas', async () => {
    const { runtime, clock } = await serve({ '1': times(2, { latencyMs: 10 }) }, { replicas: 2 })
    const request = runtime.predict('m', { x: 1 })
    await clock.advance(10)
    await request
    const [model] = runtime.stats().models
    expect(model).toMatchObject({
      name: 'm',
      version: '1',
      state: 'running',
      isActive: true,
      signature: oneNumber,
    })
    expect(model?.stats.latency.maxMs).toBeCloseTo(10, 0)
    const reports = await runtime.models.getModel('m')?.replicas()
    expect(reports?.map(({ stats }) => stats?.runs).sort()).toEqual([0, 1])
    expect(reports?.[0]?.description).toMatchObject({ model: 'm', version: '1', signature: oneNumber })
    await runtime.close()
  })

  it('keeps the context of callers in events and timers of the clock', async () => {
    const storage = new AsyncLocalStorage<string>()
    const { runtime, clock } = await serve({ '1': times(2, { latencyMs: 10 }) })
    const seen: (string | undefined)[] = []
    storage.run('caller', () => clock.setTimeout(() => seen.push(storage.getStore()), 1))
    await clock.advance(1)
    expect(seen).toEqual(['caller'])
    await runtime.close()
  })

  it('is closed at the end of its scope, whatever runs', async () => {
    const states: string[] = []
    {
      await using made = await serve({ '1': times(2, { latencyMs: 700 }) })
      made.runtime.on('closed', () => states.push(made.runtime.state))
      made.runtime.predict('m', { x: 1 }).then(
        ({ y }) => states.push(`y ${y?.data[0]}`),
        () => undefined,
      )
      await made.clock.advance(1)
    }
    expect(states).toEqual(['y 2', 'stopped'])
  })

  it.each([Number.NaN, -1, Number.POSITIVE_INFINITY, undefined])('cannot advance by %s', async (ms) => {
    await using made = await serve({ '1': times(2) })
    await expect(made.clock.advance(ms as number)).rejects.toMatchObject({ code: 'ERR_INVALID_OPTIONS' })
    expect(made.clock.now()).toBe(0)
  })

  it('takes part in the life of an application, with resources on its clock', async () => {
    const { runtime, clock } = await serve({ '1': times(2) })
    let tries = 0
    runtime.resources.registerResourceType('store', () => {
      tries += 1
      if (tries < 3) throw new Error('not yet')
      return {}
    })
    const starting = runtime.resources.initializeResource({
      name: 'store',
      resourceType: 'store',
      retry: { attempts: 3, minDelayMs: 1_000, maxDelayMs: 5_000 },
    })
    await clock.advance(10_000)
    await starting
    expect(tries).toBe(3)
    await runtime.close()
  })
})

describe('an answer', () => {
  const every: Signature = {
    inputs: [{ name: 'x', type: 'float32', dims: ['n'] }],
    outputs: [
      { name: 'wide', type: 'float32', dims: [2, 2] },
      { name: 'count', type: 'int64', dims: [] },
      { name: 'text', type: 'string', dims: ['n'] },
      { name: 'flag', type: 'bool', dims: [1] },
    ],
  }
  const good = {
    wide: [
      [1, 2],
      [3, 4],
    ],
    count: 5n,
    text: ['a', 'b'],
    flag: true,
  }

  it('is in any form that an input may have, at once or later', async () => {
    const { runtime } = await serve(
      { '1': { answer: () => good }, '2': { answer: async () => good } },
      {},
      { signature: every },
    )
    for (const version of ['1', '2']) {
      expect(await runtime.predict('m', { x: [1] }, { version })).toEqual({
        wide: { type: 'float32', dims: [2, 2], data: Float32Array.of(1, 2, 3, 4) },
        count: { type: 'int64', dims: [], data: BigInt64Array.of(5n) },
        text: { type: 'string', dims: [2], data: ['a', 'b'] },
        flag: { type: 'bool', dims: [1], data: Uint8Array.of(1) },
      })
    }
    await runtime.close()
  })

  it('is copied: neither the caller nor the model sees what the other does to it', async () => {
    const kept = Float32Array.of(1)
    const { runtime } = await serve({
      '1': {
        answer: ({ x }) => {
          ;(x?.data as Float32Array)[0] = 9
          return { y: kept }
        },
      },
    })
    const x = Float32Array.of(5)
    const { y } = await runtime.predict('m', { x })
    ;(y?.data as Float32Array)[0] = 7
    expect([x[0], kept[0]]).toEqual([5, 1])
    await runtime.close()
  })

  it('has the outputs that were asked for', async () => {
    const { runtime } = await serve({ '1': { answer: () => good } }, {}, { signature: every })
    const outputs = await runtime.predict('m', { x: [1] }, { outputs: ['text', 'count'] })
    expect(Object.keys(outputs)).toEqual(['text', 'count'])
    await runtime.close()
  })

  it('of no rows belongs to an input of no rows', async () => {
    const { runtime } = await serve({ '1': { answer: () => good } }, {}, { signature: every })
    const outputs = await runtime.predict('m', { x: new Float32Array(0) })
    expect(outputs.text?.dims).toEqual([2])
    await runtime.close()
  })

  it.each([
    ['another name', { z: 1 }, /missing output "y", unknown output "z"/],
    ['another type', { y: Float64Array.of(1) }, /output "y".*float32/],
    ['other dims', { y: [1, 2] }, /output "y"/],
    ['a tensor of another type', { y: { type: 'int32', dims: [1], data: Int32Array.of(1) } }, /output "y"/],
    ['nothing', undefined, /output/],
    ['what has the word input in it', { input: 1 }, /missing output "y", unknown output "input"/],
  ])('with %s fails the run, as a broken loader does', async (_, answer, message) => {
    const { runtime } = await serve({ '1': { answer: () => answer as never } })
    await expect(runtime.predict('m', { x: 1 })).rejects.toMatchObject({
      code: 'ERR_INFERENCE',
      model: 'm',
      version: '1',
      message: expect.stringMatching(message),
    })
    await runtime.close()
  })

  it('that throws is the cause of what the request rejects with, after the latency of the run', async () => {
    const answer = (): never => {
      throw Object.assign(new RangeError('too loud'), { code: 'E_LOUD' })
    }
    const { runtime, clock } = await serve(
      { '1': { answer, latencyMs: 5 }, '2': { answer: async () => answer() } },
      {},
      { active: '1' },
    )
    const failure = { code: 'ERR_INFERENCE', model: 'm', cause: { name: 'RangeError', code: 'E_LOUD' } }
    const failed = expect(runtime.predict('m', { x: 1 })).rejects.toMatchObject(failure)
    await clock.advance(4)
    expect(runtime.requests.active()).toHaveLength(1)
    await clock.advance(1)
    await failed
    await expect(runtime.predict('m', { x: 1 }, { version: '2' })).rejects.toMatchObject(failure)
    await runtime.close()
  })

  it('without end is a run that does not return', async () => {
    const { runtime, clock } = await serve({ '1': { answer: () => new Promise(() => undefined) } })
    const request = outcomeOf(runtime.predict('m', { x: 1 }, { timeoutMs: 10 }))
    await clock.advance(10)
    expect(await request).toBe('ERR_DEADLINE_EXCEEDED')
  })

  it('fails a run whose latency is no time', async () => {
    const { runtime } = await serve({ '1': times(2, { latencyMs: () => Number.NaN }) })
    await expect(runtime.predict('m', { x: 1 })).rejects.toMatchObject({ code: 'ERR_INVALID_OPTIONS' })
    await runtime.close()
  })
})

describe('the options of a test runtime', () => {
  const create = (options: unknown): Promise<unknown> => createTestRuntime(options as never)
  const version = times(2)
  const model = { signature: oneNumber, versions: { '1': version } }

  it.each<[string, unknown, string]>([
    ['nothing', undefined, 'the options must be an object'],
    ['no models', {}, '`models`'],
    ['an option of threads', { models: { m: model }, niceIncrement: 5 }, 'no option `niceIncrement`'],
    ['a model directory', { models: { m: model }, modelDir: 'models' }, 'no option `modelDir`'],
    ['a misspelt option', { models: { m: model }, maxQueu: 5 }, 'did you mean `maxQueue`'],
    ['a setting out of range', { models: { m: model }, maxQueue: -1 }, '`maxQueue` is -1'],
    [
      'an unknown field of a model',
      { models: { m: { ...model, activ: '1' } } },
      '`models.m` has no option `activ`',
    ],
    [
      'an unknown field of a version',
      { models: { m: { ...model, versions: { '1': { ...version, latency: 5 } } } } },
      'has no option `latency`',
    ],
    [
      'a version without an answer',
      { models: { m: { ...model, versions: { '1': {} } } } },
      '`models.m.versions.1.answer` is undefined: a function',
    ],
    [
      'a model without versions',
      { models: { m: { signature: oneNumber, versions: {} } } },
      'at least one version',
    ],
    [
      'a model without a signature',
      { models: { m: { versions: { '1': version } } } },
      '`models.m.signature`',
    ],
    [
      'an unknown element type',
      {
        models: {
          m: { ...model, signature: { inputs: [{ name: 'x', type: 'float', dims: [] }], outputs: [] } },
        },
      },
      '`models.m.signature.inputs.0.type` is "float"',
    ],
    [
      'a name that stands twice in a signature',
      {
        models: {
          m: { ...model, signature: { ...oneNumber, inputs: [...oneNumber.inputs, ...oneNumber.inputs] } },
        },
      },
      '`models.m.signature.inputs` is an array of 2: each name',
    ],
    [
      'an active version that is not there',
      { models: { m: { ...model, active: '2' } } },
      '`models.m.active` is "2"',
    ],
    [
      'versions without an order',
      { models: { m: { signature: oneNumber, versions: { red: version, blue: version } } } },
      '`models.m.active` is missing',
    ],
    [
      'a latency below 0',
      { models: { m: { ...model, versions: { '1': { ...version, latencyMs: -1 } } } } },
      '`models.m.versions.1.latencyMs` is -1',
    ],
    [
      'a load error that is none',
      { models: { m: { ...model, versions: { '1': { ...version, loadError: 'no' } } } } },
      'loadError',
    ],
    [
      'a setting of a model that means nothing here',
      { models: { m: { ...model, config: { sessionOptions: {} } } } },
      'no option `sessionOptions`',
    ],
    ['a logger that is none', { models: { m: model }, logger: {} }, '`logger` must have'],
  ])('refuse %s', async (_, options, message) => {
    await expect(create(options)).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTIONS',
      message: expect.stringContaining(message),
    })
  })

  it('reach the runtime, and settings of a version go over those of its model and of the runtime', async () => {
    const { runtime, clock } = await createTestRuntime({
      replicas: 3,
      models: {
        m: {
          signature: oneNumber,
          versions: { '1': version, '2': { ...version, config: { replicas: 1 } } },
          config: { replicas: 2 },
        },
        n: { signature: oneNumber, versions: { '1': version } },
      },
    })
    const wanted = (name: string): unknown =>
      runtime.stats().models.find((each) => each.name === name && each.isActive)?.stats.pool?.wanted
    expect([wanted('m'), wanted('n')]).toEqual([1, 3])
    await runtime.close()
    expect(clock.pending).toBe(0)
  })

  it('have a logger of the test', async () => {
    const lines: string[] = []
    const write = (_: object, message: string): void => void lines.push(message)
    const logger = {
      fatal: write,
      error: write,
      warn: write,
      info: write,
      debug: write,
      trace: write,
      child: () => logger,
    }
    const { runtime, crash } = await createTestRuntime({ logger, models: { m: model } })
    await crash('m')
    expect(lines).toContain('transition')
    await runtime.close()
  })
})
