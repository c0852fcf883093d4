import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { catalogue, modelRepository } from '../../models/catalogue.js'
import { loop, unusedWeight } from '../../models/synthetic/graphs.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { fixturePath, fixtureUrl, messageOf, runChild } from '../support/run-child.js'

const repository = tempRepository({ loop: { '1': loop() }, warns: { '1': unusedWeight() } })
const folder = mkdtempSync(join(tmpdir(), 'tbcoin-environment-'))
afterAll(() => {
  repository.dispose()
  rmSync(folder, { recursive: true })
})

const models = [{ name: 'loop', version: '1', source: repository.path('loop', '1') }]

describe('a module that the host preloads', () => {
  const preload = fixturePath('record-thread.cjs')

  it.each([
    ['with --import in NODE_OPTIONS', { NODE_OPTIONS: `--import ${fixtureUrl('record-thread.mjs')}` }, []],
    ['with --require in NODE_OPTIONS', { NODE_OPTIONS: `--require ${preload}` }, []],
    ['with --require on the command line', {}, ['--require', preload]],
    ['with --import on the command line', {}, ['--import', fixtureUrl('record-thread.mjs')]],
  ])('%s does not run in replicas', async (title, env, execArgv) => {
    const record = join(folder, title.replaceAll(' ', '-'))
    const child = await runChild('predict-and-close.mjs', {
      input: { options: { models } },
      env: { ...env, RECORD_THREADS_IN: record },
      execArgv,
    })
    expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
    expect(messageOf(child, 'done').outcomes).toEqual(['ok', 'ok', 'ok', 'ok'])
    expect(readFileSync(record, 'utf8')).toBe('main\n')
  })

  it('runs in replicas if replicaExecArgv includes it', async () => {
    const record = join(folder, 'asked-for')
    const options = { models, replicas: 2, replicaExecArgv: ['--require', preload] }
    const child = await runChild('predict-and-close.mjs', {
      input: { options },
      env: { RECORD_THREADS_IN: record },
    })
    expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
    expect(readFileSync(record, 'utf8')).toMatch(/^thread \d+\nthread \d+\n$/)
  })
})

describe('onnxruntime', () => {
  it('writes nothing to stderr while every model of the repository is loaded', async () => {
    const child = await runChild('load-repository.mjs', { input: { modelDir: modelRepository } })
    expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
    const versions = messageOf(child, 'loaded').versions as string[]
    const files = catalogue.filter(({ file }) => file.startsWith('repository/'))
    expect(versions.map((line) => line.split(' ')[0]).sort()).toEqual(
      files.map(({ name, version }) => `${name}@${version}`).sort(),
    )
    expect(versions.filter((line) => !/ (running|ready)$/.test(line))).toEqual([])
  })

  it('writes native warnings about a model only when its sessionOptions enable them', async () => {
    const source = repository.path('warns', '1')
    const quiet = { name: 'warns', version: '1', source }
    const loud = { ...quiet, config: { sessionOptions: { logSeverityLevel: 2 } } }
    const [silence, warning] = [
      await runChild('load-and-close.mjs', { input: { models: [quiet] } }),
      await runChild('load-and-close.mjs', { input: { models: [loud] } }),
    ]
    expect(silence).toMatchObject({ code: 0, signal: null, stderr: '' })
    expect(warning).toMatchObject({ code: 0, signal: null })
    expect(warning.stdout + warning.stderr).toContain("Removing initializer 'unread'")
  })

  it.each([
    ['is disabled by default', {}, { before: null, after: '1' }],
    ['stays as the host has set it', { ORT_DISABLE_TELEMETRY: '0' }, { before: '0', after: '0' }],
  ])('sees that telemetry %s', async (_, env, expected) => {
    const child = await runChild('native-environment.mjs', { input: { models }, env })
    expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
    expect(messageOf(child, 'environment')).toMatchObject(expected)
  })
})
