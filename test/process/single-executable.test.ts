import { execFileSync } from 'node:child_process'
import { chmodSync, constants, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { constantAnswer } from '../../models/synthetic/graphs.js'
import { tempFolder } from '../../models/synthetic/temp-folder.js'
import { fixturePath, messageOf, runProgram } from '../support/run-child.js'

/** The mark that Node's documentation of single executable applications names. */
const SENTINEL = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2'

const application = fixturePath('count-starts.cjs')
const folder = tempFolder()
afterAll(() => folder[Symbol.dispose]())
const at = (...names: string[]): string => join(folder.path, ...names)

let tries = 0

/** Runs an executable that holds, or is given, the application. */
async function start(executable: string, args: readonly string[], options: object = {}) {
  const id = `${tries++}`
  const starts = at(`starts ${id}`)
  const input = {
    starts,
    anchor: application,
    source: at('model.onnx'),
    options: { cacheDir: at(`cache ${id}`), artifacts: { minBytes: 0 }, ...options },
  }
  const child = await runProgram(executable, args, { env: { APP_INPUT: JSON.stringify(input) } })
  expect(child).toMatchObject({ code: 0, signal: null })
  return { ...messageOf(child, 'done'), starts: readFileSync(starts, 'utf8').trim().split('\n').length }
}

const warning = (reason: RegExp) => ({
  level: 'warn',
  message: expect.stringMatching(/served in their original form/),
  reason: expect.stringMatching(reason),
})

beforeAll(() => {
  mkdirSync(at('renamed'))
  writeFileSync(at('model.onnx'), constantAnswer(1))
})

describe.runIf(process.platform === 'linux')('an executable that holds the application', () => {
  beforeAll(() => {
    const config = { main: application, output: at('blob'), disableExperimentalSEAWarning: true }
    writeFileSync(at('sea.json'), JSON.stringify(config))
    execFileSync(process.execPath, ['--experimental-sea-config', at('sea.json')], { stdio: 'ignore' })
    copyFileSync(process.execPath, at('application'), constants.COPYFILE_FICLONE)
    const postject = createRequire(import.meta.url).resolve('postject/dist/cli.js')
    const args = [postject, at('application'), 'NODE_SEA_BLOB', at('blob'), '--sentinel-fuse', SENTINEL]
    execFileSync(process.execPath, args, { stdio: 'ignore' })
    copyFileSync(at('application'), at('renamed', 'node'), constants.COPYFILE_FICLONE)
  })

  it.each([['application'], ['renamed/node']])('never starts itself again: %s', async (name) => {
    expect(await start(at(name), [])).toMatchObject({
      starts: 1,
      y: 2,
      form: 'original',
      warnings: [warning(/set `builderExecPath`/)],
    })
  })

  it('has models made into artifacts by a Node that is named', async () => {
    const done = await start(at('application'), [], { builderExecPath: process.execPath })
    expect(done).toMatchObject({
      starts: 1,
      y: 2,
      form: expect.stringMatching(/^(prepacked|external)$/),
      warnings: [],
    })
  })
})

describe.runIf(process.platform !== 'win32')('an executable that may be Node', () => {
  it('under another name is not started again', async () => {
    copyFileSync(process.execPath, at('runner'), constants.COPYFILE_FICLONE)
    expect(await start(at('runner'), [application])).toMatchObject({
      starts: 1,
      y: 2,
      form: 'original',
      warnings: [warning(/runner is not known to be Node/)],
    })
  })

  it('and runs the application whatever it is told is started once, and that one refuses to serve', async () => {
    writeFileSync(at('wrapper'), `#!/bin/sh\nexec '${process.execPath}' '${application}'\n`)
    chmodSync(at('wrapper'), 0o755)
    const done = await start(process.execPath, [application], { builderExecPath: at('wrapper') })
    expect(done).toMatchObject({
      starts: 2,
      y: 2,
      form: 'original',
      warnings: [warning(/exited with code 1/)],
    })
  })

  it('and cannot be started costs a warning', async () => {
    const done = await start(process.execPath, [application], { builderExecPath: at('nowhere') })
    expect(done).toMatchObject({ starts: 1, y: 2, form: 'original', warnings: [warning(/ENOENT/)] })
  })
})
