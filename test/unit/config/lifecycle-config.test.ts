import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { LifecycleConfig, unknownVariables } from '../../../src/config/lifecycle-config.js'

const folder = mkdtempSync(join(tmpdir(), 'tbcoin-config-'))
afterAll(() => rmSync(folder, { recursive: true }))

let files = 0
function fileOf(text: string | Uint8Array): string {
  files += 1
  const path = join(folder, `${files}.json`)
  writeFileSync(path, text)
  return path
}

function refusal(load: () => unknown): string {
  try {
    load()
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_INVALID_OPTIONS' })
    return (error as Error).message
  }
  throw new Error('it was accepted')
}

const env = {}

describe('a configuration', () => {
  it('has the defaults of everything that nobody sets', () => {
    expect(LifecycleConfig.load({}, { env })).toMatchObject({
      appName: 'tbcoin-engine',
      logLevel: 'info',
      modelCleanupIntervalMs: 3_600_000,
      gracefulShutdownTimeoutMs: 30_000,
      handleSignals: false,
    })
  })

  it('takes the options, over them the file, over that the environment', () => {
    const options = { appName: 'options', logLevel: 'warn', maxQueue: 1 } as const
    const file = fileOf(JSON.stringify({ appName: 'file', logLevel: 'error' }))
    const config = LifecycleConfig.load(options, { file, env: { TBCOIN_APP_NAME: 'environment' } })
    expect(config).toMatchObject({ appName: 'environment', logLevel: 'error', maxQueue: 1 })
  })

  it.each([
    ['a path', (path: string) => path],
    ['a file URL', (path: string) => pathToFileURL(path)],
    ['the text of a file URL', (path: string) => pathToFileURL(path).href],
  ])('reads the file named by %s', (_, name) => {
    const file = name(fileOf('{"maxQueue": 7}'))
    expect(LifecycleConfig.load({}, { file, env }).maxQueue).toBe(7)
  })

  it.each([
    ['UTF-8', Buffer.from('\ufeff{"appName": "Zürich"}')],
    ['UTF-16 of a small machine', Buffer.from('\ufeff{"appName": "Zürich"}', 'utf16le')],
    ['UTF-16 of a big one', Buffer.from('\ufeff{"appName": "Zürich"}', 'utf16le').swap16()],
  ])('reads a file that begins with a byte order mark: %s', (_, bytes) => {
    expect(LifecycleConfig.load({}, { file: fileOf(bytes), env }).appName).toBe('Zürich')
  })

  it('reads the file that TBCOIN_CONFIG_FILE names, unless another is given', () => {
    const [one, other] = [fileOf('{"maxQueue": 1}'), fileOf('{"maxQueue": 2}')]
    expect(LifecycleConfig.load({}, { env: { TBCOIN_CONFIG_FILE: one } }).maxQueue).toBe(1)
    expect(LifecycleConfig.load({}, { file: other, env: { TBCOIN_CONFIG_FILE: one } }).maxQueue).toBe(2)
  })

  it.each([
    ['TBCOIN_APP_NAME', '123', 'appName', '123'],
    ['TBCOIN_GRACEFUL_SHUTDOWN_TIMEOUT_MS', '2500', 'gracefulShutdownTimeoutMs', 2500],
    ['TBCOIN_HANDLE_SIGNALS', 'true', 'handleSignals', true],
    ['TBCOIN_REPLICAS', 'auto', 'replicas', 'auto'],
    ['TBCOIN_REPLICAS', '3', 'replicas', 3],
    ['TBCOIN_INTRA_OP_NUM_THREADS', '2', 'intraOpNumThreads', 2],
    ['TBCOIN_REPLICA_EXEC_ARGV', '["--no-warnings"]', 'replicaExecArgv', ['--no-warnings']],
    ['TBCOIN_LOADERS', '{"tree":"/tree.js"}', 'loaders', { tree: '/tree.js' }],
    ['TBCOIN_HANDLE_SIGNALS', 'True', 'handleSignals', true],
    ['TBCOIN_LOG_LEVEL', 'WARN', 'logLevel', 'warn'],
    ['TBCOIN_LOG_LEVEL', 'warn\r', 'logLevel', 'warn'],
    ['TBCOIN_MODEL_DIR', ' /srv/Models\n', 'modelDir', '/srv/Models'],
  ])('takes %s=%s from the environment', (variable, text, key, value) => {
    expect(LifecycleConfig.load({}, { env: { [variable]: text } })).toMatchObject({ [key]: value })
  })

  it.each(['', ' ', '\r\n'])('takes a variable that holds %j as one that is not set', (text) => {
    const variables = {
      TBCOIN_REPLICAS: text,
      TBCOIN_MODEL_DIR: text,
      TBCOIN_LOG_LEVEL: text,
      TBCOIN_MODELS: text,
      TBCOIN_CONFIG_FILE: text,
      TBCOIN_NO_SUCH_SETTING: text,
    }
    const options = { replicas: 3, modelDir: '/models' }
    expect(LifecycleConfig.load(options, { env: variables })).toEqual(LifecycleConfig.load(options, { env }))
  })

  it('takes models from the environment, with the defaults of what is left out', () => {
    const TBCOIN_MODELS = '[{"name":"vad","version":"6","source":"/vad.onnx"}]'
    const { models } = LifecycleConfig.load({}, { env: { TBCOIN_MODELS } })
    expect(models).toEqual([
      { name: 'vad', version: '6', source: '/vad.onnx', modelType: 'onnx', config: {}, promote: false },
    ])
  })

  it("is that of the process's environment if no other is given", () => {
    process.env.TBCOIN_MAX_QUEUE = '42'
    try {
      expect(LifecycleConfig.load().maxQueue).toBe(42)
    } finally {
      delete process.env.TBCOIN_MAX_QUEUE
    }
  })

  it('leaves what callers hand over as it is to them, cycles and all', () => {
    const loaderOptions: Record<string, unknown> = { deep: {} }
    loaderOptions.itself = loaderOptions
    LifecycleConfig.load({ models: [{ name: 'm', version: '1', config: { loaderOptions } }] }, { env })
    expect(Object.isFrozen(loaderOptions)).toBe(false)
    expect(Object.isFrozen(loaderOptions.deep)).toBe(false)
  })

  it('takes no notice of what Kubernetes says of a service, nor of an empty name of a file', () => {
    const kubernetes = {
      TBCOIN_ENGINE_SERVICE_HOST: '10.0.0.1',
      TBCOIN_ENGINE_SERVICE_PORT: '80',
      TBCOIN_ENGINE_SERVICE_PORT_HTTP: '80',
      TBCOIN_ENGINE_PORT: 'tcp://10.0.0.1:80',
      TBCOIN_ENGINE_PORT_80_TCP_ADDR: '10.0.0.1',
      TBCOIN_CONFIG_FILE: '',
    }
    expect(LifecycleConfig.load({}, { env: kubernetes })).toEqual(LifecycleConfig.load({}, { env }))
  })

  it('is frozen, but for what callers hand over as it is', () => {
    const data = new Float32Array(2)
    const models = [{ name: 'm', version: '1', config: { sample: { input: { x: data } } } }]
    const config = LifecycleConfig.load({ models, replicaExecArgv: ['-x'] }, { env })
    expect(Object.isFrozen(config)).toBe(true)
    expect(Object.isFrozen(config.models)).toBe(true)
    expect(Object.isFrozen(config.models[0]?.config)).toBe(true)
    expect(Object.isFrozen(config.replicaExecArgv)).toBe(true)
    const kept = config.models[0]?.config.sample?.input.x as Float32Array
    kept[0] = 1
    expect(kept[0]).toBe(1)
  })
})

describe('a mistake', () => {
  it.each([
    ['in the options', { options: { maxQueue: -1 } }, /^the options: `maxQueue` is -1: .*>=0/],
    ['in the file', { file: '{"replicas": "many"}' }, /^the file .*\.json: `replicas` is "many": .*"auto"/],
    [
      'in the environment',
      { env: { TBCOIN_MAX_QUEUE: 'lots' } },
      /^the environment, TBCOIN_MAX_QUEUE: `maxQueue` is "lots": .*number/,
    ],
    [
      'deep in the file',
      { file: '{"models": [{"name": "m"}]}' },
      /^the file .*: `models\.0\.version` is undefined/,
    ],
    [
      'of a name in the options',
      { options: { modelDirr: 'x' } },
      /^the options: it has no option `modelDirr`/,
    ],
    ['of a name in the file', { file: '{"modelDirr": "x"}' }, /^the file .*: it has no option `modelDirr`/],
    ['of the whole file', { file: '[1]' }, /^the file .*: the value is an array of 1: /],
    ['of syntax', { file: '{"a": }' }, /^the file .* cannot be read as JSON: /],
  ])(
    '%s is refused with the place, the value and the rule',
    (_, {
      options,
      file,
      env: variables,
    }: { options?: object; file?: string; env?: Record<string, string> }, message) => {
      const sources = { file: file === undefined ? undefined : fileOf(file), env: variables ?? env }
      expect(refusal(() => LifecycleConfig.load(options, sources))).toMatch(message)
    },
  )

  it('ignores a variable that is no setting, and names the one that was meant', () => {
    const variables = {
      TBCOIN_MODELDIR: 'x',
      TBCOIN_API_KEY: 'secret',
      TBCOIN_MAX_QUEUE: '5',
      TBCOIN_UNSET: '',
    }
    expect(LifecycleConfig.load({}, { env: variables }).maxQueue).toBe(5)
    expect(unknownVariables(variables)).toEqual({
      variables: ['TBCOIN_MODELDIR', 'TBCOIN_API_KEY'],
      suggestions: { TBCOIN_MODELDIR: 'TBCOIN_MODEL_DIR' },
    })
    expect(unknownVariables({ TBCOIN_MAX_QUEUE: '5', TBCOIN_PORT_80_TCP: 'x', PATH: '/' })).toBeUndefined()
  })

  it('is refused though a stronger source has the setting too', () => {
    const file = fileOf('{"maxQueue": "none"}')
    const load = () => LifecycleConfig.load({ maxQueue: -1 }, { file, env: { TBCOIN_MAX_QUEUE: '5' } })
    expect(refusal(load)).toMatch(/^the options: `maxQueue` is -1.*; the file .*: `maxQueue` is "none"/)
  })

  it('in a file that is not there is refused with its path', () => {
    expect(refusal(() => LifecycleConfig.load({}, { file: '/no/such/file.json', env }))).toMatch(
      /^the file \/no\/such\/file\.json cannot be read as JSON: ENOENT/,
    )
  })
})
