import { describe, expect, it } from 'vitest'
import { parseOptions } from '../../../src/config/parse-options.js'
import {
  hotSwapSchema,
  loadModelSchema,
  modelNameSchema,
  predictOptionsSchema,
  runtimeSchema,
} from '../../../src/config/runtime-options.js'
import { errors } from '../../../src/errors/errors.js'

function refusal(schema: Parameters<typeof parseOptions>[0], input: unknown, what = 'createRuntime'): string {
  try {
    parseOptions(schema, input, what)
  } catch (error) {
    expect(error).toBeInstanceOf(errors.ERR_INVALID_OPTIONS)
    return (error as Error).message
  }
  throw new Error(`accepted: ${JSON.stringify(input)}`)
}

const ONE_MODEL = { name: 'a', version: '1' }

/** One row for each kind of value that a message shows, and for each limit that is the library's own. */
const refused: [input: unknown, path: string, shown: string, rule: RegExp][] = [
  [{ replicas: 1025 }, 'replicas', '1025', /1024/],
  [{ niceIncrement: 20 }, 'niceIncrement', '20', /19/],
  [{ drainTimeoutMs: 2 ** 31 }, 'drainTimeoutMs', '2147483648', /2147483647/],
  [{ drainTimeoutMs: Number.POSITIVE_INFINITY }, 'drainTimeoutMs', 'Infinity', /number/],
  [{ crashBudget: 1n }, 'crashBudget', '1n', /number/],
  [{ processes: 'max' }, 'processes', '"max"', /auto|number/],
  [{ logLevel: 'loud' }, 'logLevel', '"loud"', /silent.*trace/],
  [{ modelDir: 3 }, 'modelDir', '3', /string|URL/],
  [{ loadTimeoutMs: () => 1 }, 'loadTimeoutMs', 'a function', /number/],
  [{ models: ONE_MODEL }, 'models', 'an object', /array/],
  [
    { models: [{ name: 'a' }] },
    'models.0.version',
    'undefined',
    /^: give its label, .* `modelDir` the latest version is loaded at the start by itself$/,
  ],
  [{ models: [{ ...ONE_MODEL, config: { replicas: 0 } }] }, 'models.0.config.replicas', '0', />=1/],
]

describe('the options of createRuntime', () => {
  it.each(refused)('%o are refused with path, value and rule', (input, path, shown, rule) => {
    const message = refusal(runtimeSchema, input)
    expect(message).toContain(`createRuntime: \`${path}\` is ${shown}: `)
    expect(message.slice(message.indexOf(shown) + shown.length)).toMatch(rule)
  })

  it('are refused with what is expected, and not with what was received beside the value', () => {
    const options = { models: 1, onLoadError: 'stop', replicas: 'all' }
    expect(refusal(runtimeSchema, options)).toBe(
      'createRuntime: `models` is 1: expected array; `onLoadError` is "stop": expected one of "throw"|"degrade"; `replicas` is "all": expected number, or: expected "auto"',
    )
  })

  it('are refused with all their mistakes at once', () => {
    const message = refusal(runtimeSchema, { replicas: 0, maxQueue: -1, bogus: 1 })
    for (const part of ['replicas', 'maxQueue', 'bogus']) expect(message).toContain(`\`${part}\``)
  })

  it.each([
    [{ bogus: 1, worse: 2 }, 'it has no option `bogus`, `worse`'],
    [
      { models: [{ ...ONE_MODEL, replicas: 2 }] },
      '`models.0` has no option `replicas` (did you mean `config.replicas`?)',
    ],
    [
      { models: [{ ...ONE_MODEL, config: { replica: 2 } }] },
      '`models.0.config` has no option `replica` (did you mean `replicas`?)',
    ],
    [{ modeldir: '/m' }, 'it has no option `modeldir` (did you mean `modelDir`?)'],
    [{ budgetBytes: 1 }, 'it has no option `budgetBytes` (did you mean `memory.budgetBytes`?)'],
    [{ memory: { budgetbytes: 1 } }, '`memory` has no option `budgetbytes` (did you mean `budgetBytes`?)'],
    [{ pinned: true }, '`pinned` (did you mean `models[].config.pinned`?)'],
    [
      { models: [{ ...ONE_MODEL, config: { promote: true } }] },
      '`models.0.config` has no option `promote` (did you mean `promote` beside `models.0.config`?)',
    ],
    [
      { artifacts: { cacheDir: '/c' } },
      '`artifacts` has no option `cacheDir` (did you mean `cacheDir` beside `artifacts`?)',
    ],
  ])('%o name a key that is unknown', (input, hint) => {
    expect(refusal(runtimeSchema, input)).toContain(hint)
  })

  it('are refused as a whole when they are no object', () => {
    expect(refusal(runtimeSchema, null)).toMatch(/^createRuntime: the value is .*object/)
  })

  it('do not echo a whole long value', () => {
    expect(refusal(runtimeSchema, { logLevel: 'x'.repeat(10_000) }).length).toBeLessThan(400)
  })

  it('have the defaults of the design when nothing is given', () => {
    expect(parseOptions(runtimeSchema, {}, 'createRuntime')).toMatchObject({
      onLoadError: 'throw',
      replicas: 'auto',
      processes: 'auto',
      intraOpNumThreads: 1,
      maxConcurrentLoads: 1,
      standbyMs: 0,
      exitWaitMs: 5000,
      niceIncrement: 5,
      models: [],
      allowWorkerThread: false,
    })
    expect(parseOptions(runtimeSchema, {}, 'x')).not.toHaveProperty('modelDir')
  })

  it('are a new object on each parse: what one runtime does to its defaults no other sees', () => {
    const first = parseOptions(runtimeSchema, {}, 'x')
    first.models.push({ ...ONE_MODEL, modelType: 'onnx', config: {}, promote: false })
    expect(parseOptions(runtimeSchema, {}, 'x').models).toEqual([])
  })
})

describe('names of models and versions', () => {
  it.each(['', '.', '..', 'a/b', 'a\\b', 'a\0b', 'x'.repeat(201)])('cannot be %j', (name) => {
    expect(refusal(modelNameSchema, name, 'unloadModel')).toMatch(/^unloadModel: the value is /)
    expect(refusal(loadModelSchema, { name, version: '1' }, 'loadModel')).toContain('`name`')
    expect(refusal(loadModelSchema, { name: 'a', version: name }, 'loadModel')).toContain('`version`')
    expect(refusal(hotSwapSchema, { name: 'a', newVersion: name }, 'x')).toContain('`newVersion`')
  })

  it.each(['vad', '1.2.3-rc.1+build', 'ümläut', 'with space', '...', 'x'.repeat(200)])(
    'can be %j',
    (name) => {
      expect(parseOptions(modelNameSchema, name, 'x')).toBe(name)
    },
  )
})

describe('the options of one call', () => {
  it.each([
    [{ signal: new AbortController() }, 'signal'],
    [{ outputs: [] }, 'outputs'],
    [{ version: 5 }, 'version'],
  ])('predict refuses %o', (input, path) => {
    expect(refusal(predictOptionsSchema, input, 'predict')).toContain(`predict: \`${path}\` is `)
  })

  it('predict refuses a key it does not know', () => {
    expect(refusal(predictOptionsSchema, { timeout: 5 }, 'predict')).toBe(
      'predict: it has no option `timeout` (did you mean `timeoutMs`?)',
    )
  })

  it('predict takes a key that is there but undefined', () => {
    const undecided = { version: undefined, signal: undefined, timeoutMs: undefined, outputs: undefined }
    expect(parseOptions(predictOptionsSchema, undecided, 'predict')).toMatchObject({})
  })

  it('loadModel has its defaults', () => {
    expect(parseOptions(loadModelSchema, ONE_MODEL, 'x')).toEqual({
      ...ONE_MODEL,
      modelType: 'onnx',
      config: {},
      promote: false,
    })
  })

  it('a sample has tolerances and needs an input', () => {
    const config = { sample: { input: { x: 1 } } }
    expect(parseOptions(loadModelSchema, { ...ONE_MODEL, config }, 'x').config.sample).toEqual({
      input: { x: 1 },
      rtol: 1e-3,
      atol: 1e-5,
    })
    const without = { ...ONE_MODEL, config: { sample: { output: {} } } }
    expect(refusal(loadModelSchema, without, 'x')).toContain('`config.sample.input`')
  })
})
