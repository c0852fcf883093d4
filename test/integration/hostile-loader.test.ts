import { fileURLToPath } from 'node:url'
import type { Outputs } from 'tbcoin-engine'
import { describe, expect, it } from 'vitest'
import { runtime, start } from '../support/gated-runtime.js'
import { errorOf } from '../support/runtime-harness.js'
import { type Line, listLogger } from '../support/test-logger.js'

const loader = new URL('../support/loaders/hostile-loader.mjs', import.meta.url)

const names = [
  'two views of one buffer',
  'one array twice',
  'a buffer and a view of it',
  'its own input',
  'a view of shared memory',
  'a class of its own',
  'a dim that changes',
  'a getter that throws',
  'more elements than its dims',
  'fewer elements than its dims',
  'a negative dim',
  'a dim that is no number',
  'a detached buffer',
  'a forged array',
  'nothing',
  'an error that throws',
  'an object without a prototype',
  'a symbol as message',
  'its input, changed',
]

async function serve(loaderOptions?: string, lines: Line[] = []): Promise<void> {
  await start({ logger: listLogger(lines), logLevel: 'debug', loaders: { hostile: loader } })
  const config = { replicas: 1, loaderOptions }
  await runtime.models.loadModel({
    name: 'm',
    version: '1',
    modelType: 'hostile',
    source: fileURLToPath(loader),
    config,
  })
  await fill()
}

/** Runs a request with the data of another caller, which must not appear in other outputs. */
async function fill(): Promise<void> {
  const x = new Float32Array(27_000).fill(1_234.5)
  x[0] = names.indexOf('its input, changed')
  await runtime.predict('m', { x }).catch(() => undefined)
}

/** Sends a request; `x` contains the number of the answer, followed by ones. */
function ask(name: string, length = 5_000): Promise<Outputs> {
  const x = new Float32Array(length).fill(1)
  x[0] = names.indexOf(name)
  return runtime.predict('m', { x })
}

function ramp(length: number, from = 0): Float32Array {
  return Float32Array.from({ length }, (_, index) => from + index)
}

describe('a loader that returns', () => {
  it.each<[string, Float32Array, Float32Array]>([
    ['two views of one buffer', ramp(5_000), ramp(5_000, 5_000)],
    ['one array twice', ramp(5_000), ramp(5_000)],
    ['a buffer and a view of it', ramp(10_000), ramp(5_000, 5_000)],
    ['a view of shared memory', ramp(5_000), ramp(5_000)],
    ['a class of its own', ramp(5_000), ramp(5)],
    ['a dim that changes', ramp(5_000), ramp(5)],
    ['its input, changed', ramp(5), ramp(5)],
  ])('%s has its outputs delivered correctly', async (name, a, b) => {
    await serve()
    for (const length of [5_000, 3, 20_500]) {
      const outputs = await ask(name, length)
      expect(outputs.a?.data).toEqual(a)
      expect(outputs.b?.data).toEqual(b)
      await fill()
    }
  })

  it('its own input delivers it, and never data of another request', async () => {
    await serve()
    const own = names.indexOf('its own input')
    const outputs = await Promise.all([10, 6_000, 20, 7_000].map((length) => ask('its own input', length)))
    for (const [index, length] of [10, 6_000, 20, 7_000].entries()) {
      const expected = new Float32Array(length).fill(1)
      expected[0] = own
      expect(outputs[index]?.a?.data).toEqual(expected)
      expect(outputs[index]?.b?.data).toEqual(expected)
    }
  })

  it.each(names.slice(7, 18))('%s fails that request, and the other requests succeed', async (name) => {
    await serve()
    const outcomes = await Promise.all([
      ask('two views of one buffer'),
      errorOf(ask(name)),
      ask('one array twice'),
      errorOf(ask(name, 3)),
      ask('its input, changed'),
    ])
    const [first, error, second, small, third] = outcomes
    expect(first.b?.data).toEqual(ramp(5_000, 5_000))
    expect(error).toMatchObject({ code: 'ERR_INFERENCE', model: 'm', version: '1' })
    expect(second.b?.data).toEqual(ramp(5_000))
    expect(small).toMatchObject({ code: 'ERR_INFERENCE' })
    expect(third.a?.data).toEqual(ramp(5))
    expect(runtime.models.getModel('m')?.stats().pool).toMatchObject({ replicas: 1, idle: 1, restarts: 0 })
    expect(runtime.requests.counts().active).toEqual({ received: 0, queued: 0, running: 0 })
  })

  it.each<[string, number, unknown]>([
    ['a proxy of strings', 0, ['p', 'q']],
    ['numbers among strings', 1, 'ERR_INFERENCE'],
    ['too few strings', 2, 'ERR_INFERENCE'],
  ])('%s has it delivered or refused', async (_, what, expected) => {
    await serve('strings')
    const answer = runtime.predict('m', { x: Float32Array.of(what) })
    expect(
      await answer.then(
        ({ a }) => a?.data,
        ({ code }) => code,
      ),
    ).toEqual(expected)
  })
})

describe('a loader that sends unknown messages', () => {
  it('is served, its log lines are written, and all other messages are ignored', async () => {
    const lines: Line[] = []
    await serve(undefined, lines)
    await ask('one array twice')
    const own = lines.filter(({ message }) => /Python|no text|without fields/.test(message))
    expect(own.map(({ level, message }) => [level, message])).toEqual([
      ['debug', 'a level of Python'],
      ['info', 'Symbol(no text)'],
      ['info', 'without fields'],
    ])
  })
})
