import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { Project, sharedProject, tarball } from '../support/packaging-harness.js'

const body = (close: string) => `
  const runtime = await createRuntime({ logLevel: 'silent', models: [{ name: 'm', version: '1', source: 'model.onnx' }] })
  const { probabilities } = await runtime.predict('m', { x: [[1, 2, 3, 4]] })
  if (probabilities.data.length !== 3) throw new Error('not 3 probabilities')
  ${close}
`
const tests = (head: string): string => `
${head}
test('answers', async () => {${body('await runtime.close()')}})
test('leaves a runtime open', async () => {${body('')}})
`
/** A runtime of threads and one of functions in the same process. */
const both = `
test('answers beside a runtime of functions', async () => {
  const spec = { name: 'x', type: 'float32', dims: [1] }
  const versions = { 1: { answer: () => ({ y: 42 }) } }
  const made = await createTestRuntime({ models: { f: { signature: { inputs: [spec], outputs: [{ ...spec, name: 'y' }] }, versions } } })
  ${body(`
  const { y } = await made.runtime.predict('f', { x: 1 })
  if (y.data[0] !== 42) throw new Error('not 42')
  for (const each of [made.runtime, runtime]) {
    const error = await each.predict('none', {}).catch((error) => error)
    if (!isRuntimeError(error) || !(error instanceof errors.ERR_MODEL_NOT_FOUND)) throw error
  }
  await made.close()
  await runtime.predict('m', { x: [[1, 2, 3, 4]] })
  await runtime.close()`)}
})
`
const imported = "import { createRuntime } from 'tbcoin-engine'"
const files = {
  'cjs/answer.test.js': tests("const { createRuntime } = require('tbcoin-engine')"),
  'esm/answer.test.mjs': tests(imported),
  'vitest/answer.test.mjs': tests(`import { test } from 'vitest'\n${imported}`),
  'node/answer.test.mjs': tests(`import { test } from 'node:test'\n${imported}`),
}

const project = await sharedProject(['jest@30', 'vitest@4'])
project.write(files)

describe('tests of a user, of which one leaves its runtime open, pass and end', () => {
  const jest = '--testMatch="**/*.test.{js,mjs}"'
  it.each([
    ['Jest', `npx jest ${jest} --rootDir=cjs`],
    ['Jest, ES modules', `NODE_OPTIONS=--experimental-vm-modules npx jest ${jest} --rootDir=esm`],
    [
      'Jest, CommonJS with its flag for ES modules',
      `NODE_OPTIONS=--experimental-vm-modules npx jest ${jest} --rootDir=cjs`,
    ],
    ['vitest, forks', 'npx vitest run --pool=forks vitest/'],
    ['vitest, vmForks', 'npx vitest run --pool=vmForks vitest/'],
    ['node:test', 'node --test node/answer.test.mjs'],
  ])('%s', async (_, command) => {
    const { stdout } = await project.onEveryNode(`${command} >log 2>&1 && echo passed || cat log`)
    expect(stdout).toBe('passed\n')
  })

  it.each(['threads', 'vmThreads'])('vitest, %s: refused with what to do', async (pool) => {
    const { stdout } = await project.shell(`npx vitest run --pool=${pool} vitest/ 2>&1 || true`)
    expect(stdout).toContain('allowWorkerThread')
    expect(stdout).toContain('2 failed')
  })
})

/** Tests of a user over `tbcoin-engine/testing`; `fake` replaces the clocks of the process, as `real` puts them back. */
const testsOfFunctions = (head: string, fake: string, real: string): string => `
${head}
const spec = { name: 'x', type: 'float32', dims: [1] }
const signature = { inputs: [spec], outputs: [{ ...spec, name: 'y' }] }
const create = (version) => createTestRuntime({ models: { m: { signature, versions: { 1: version } } } })
const assert = (isTrue, what) => { if (!isTrue) throw new Error(what) }
const errorOf = (promise) => promise.then(() => assert(false, 'no error'), (error) => error)

test('answers with a function', async () => {
  const { runtime } = await create({ answer: ({ x }) => ({ y: x.data[0] * 2 }) })
  const { y } = await runtime.predict('m', { x: [21] })
  assert(y.data instanceof Float32Array && y.data[0] === 42, 'not 42')
  await runtime.close()
})

test('rejects with errors that the package itself knows', async () => {
  const { runtime, clock, crash } = await create({ latencyMs: 50, answer: () => ({ y: 1 }) })
  const late = errorOf(runtime.predict('m', { x: 1 }, { timeoutMs: 10 }))
  await clock.advance(10)
  assert(isRuntimeError(await late), 'not known')
  assert((await late) instanceof errors.ERR_DEADLINE_EXCEEDED, 'not late')
  await clock.advance(100)
  const crashed = errorOf(runtime.predict('m', { x: 1 }))
  await crash('m')
  assert((await crashed) instanceof errors.ERR_REPLICA_EXITED, 'not exited')
  const wrong = await errorOf(runtime.predict('m', { z: 1 }))
  assert(wrong instanceof errors.ERR_INVALID_INPUT && wrong instanceof RuntimeError, 'not refused')
  await runtime.close()
})

test('goes on beside fake timers', async () => {
  ${fake}
  const { runtime, clock } = await create({ latencyMs: 5, answer: () => ({ y: 1 }) })
  const request = runtime.predict('m', { x: 1 })
  await clock.advance(5)
  await request
  await runtime.close()
  ${real}
})

test('shares nothing with the process', async () => {
  const { runtime } = await create({ answer: () => ({ y: 1 }) })
  await runtime.predict('m', { x: 1 })
  await runtime.close()
  assert(globalThis[Symbol.for('tbcoin-engine.process')] === undefined, 'it shares something')
})

test('leaves a runtime open, with a request', async () => {
  const { runtime, clock } = await create({ latencyMs: Infinity, answer: () => ({ y: 1 }) })
  runtime.predict('m', { x: 1 }).catch(() => undefined)
  await clock.advance(1)
})
`
const library = '{ errors, isRuntimeError, RuntimeError }'
const importedKit = `import ${library} from 'tbcoin-engine'\nimport { createTestRuntime } from 'tbcoin-engine/testing'`
const requiredKit = `const ${library} = require('tbcoin-engine')\nconst { createTestRuntime } = require('tbcoin-engine/testing')`
const jestTimers = ['jest.useFakeTimers()', 'jest.useRealTimers()'] as const
const vitestTimers = [
  "vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask', 'Date', 'performance'] })",
  'vi.useRealTimers()',
] as const
const nodeTimers = ['mock.timers.enable()', 'mock.timers.reset()'] as const
/** Lets a process load no native code and start no thread. */
const withoutNative = `
import { createRequire, syncBuiltinESMExports } from 'node:module'
const refuse = (what) => function () { throw new Error(what) }
createRequire(import.meta.url)('node:worker_threads').Worker = refuse('a thread was started')
process.dlopen = refuse('native code was loaded')
syncBuiltinESMExports()
`

const beside = '{ createRuntime, errors, isRuntimeError }'
const nodeTest = "import { test } from 'node:test'"
project.write({
  'both/esm.test.mjs': `${nodeTest}
import ${beside} from 'tbcoin-engine'
import { createTestRuntime } from 'tbcoin-engine/testing'
${both}`,
  'both/cjs.test.cjs': `const { test } = require('node:test')
const ${beside} = require('tbcoin-engine')
const { createTestRuntime } = require('tbcoin-engine/testing')
${both}`,
  'both/mixed.test.mjs': `${nodeTest}
import { createRequire } from 'node:module'
import ${beside} from 'tbcoin-engine'
const { createTestRuntime } = createRequire(import.meta.url)('tbcoin-engine/testing')
${both}`,
})

it.each(['both/esm.test.mjs', 'both/cjs.test.cjs', 'both/mixed.test.mjs'])(
  'a runtime of functions leaves one of threads in the same process as it is: %s',
  async (file) => {
    const { stdout } = await project.onEveryNode(`node --test ${file} >log 2>&1 && echo passed || cat log`)
    expect(stdout).toBe('passed\n')
  },
)

/** Without onnxruntime-node, which the package asks for as a peer. */
const bare = await Project.bare(['--omit=peer', tarball, 'jest@30', 'vitest@4'])
afterAll(() => bare[Symbol.dispose]())
bare.write({
  'native.mjs': withoutNative,
  'cjs/kit.test.js': testsOfFunctions(requiredKit, ...jestTimers),
  'global/kit.test.js': testsOfFunctions(requiredKit, '', ''),
  'esm/kit.test.mjs': testsOfFunctions(`import { jest } from '@jest/globals'\n${importedKit}`, ...jestTimers),
  'vitest/kit.test.mjs': testsOfFunctions(
    `import { test, vi } from 'vitest'\n${importedKit}`,
    ...vitestTimers,
  ),
  'node/kit.test.mjs': testsOfFunctions(
    `import { mock, test } from 'node:test'\n${importedKit}`,
    ...nodeTimers,
  ),
  'node/kit.test.cjs': testsOfFunctions(
    `const { mock, test } = require('node:test')\n${requiredKit}`,
    ...nodeTimers,
  ),
})

describe('tests of a user over tbcoin-engine/testing pass and end, without onnxruntime-node', () => {
  it('which is not there', () => {
    expect(existsSync(join(bare.path, 'node_modules/tbcoin-engine/package.json'))).toBe(true)
    expect(existsSync(join(bare.path, 'node_modules/onnxruntime-node'))).toBe(false)
  })

  const jest = '--testMatch="**/*.test.{js,mjs}"'
  it.each([
    ['Jest', `npx jest ${jest} --rootDir=cjs`],
    [
      'Jest, fake timers everywhere',
      `npx jest ${jest} --rootDir=global --fakeTimers='{"enableGlobally":true}'`,
    ],
    ['Jest, ES modules', `NODE_OPTIONS=--experimental-vm-modules npx jest ${jest} --rootDir=esm`],
    ['vitest, forks', 'npx vitest run --pool=forks vitest/'],
    ['vitest, threads', 'npx vitest run --pool=threads vitest/'],
    ['vitest, vmThreads', 'npx vitest run --pool=vmThreads vitest/'],
    ['node:test, no threads and no native code', 'node --import ./native.mjs --test node/kit.test.mjs'],
    ['node:test, CommonJS', 'node --import ./native.mjs --test node/kit.test.cjs'],
  ])('%s', async (_, command) => {
    const { stdout } = await bare.onEveryNode(`${command} >log 2>&1 && echo passed || cat log`)
    expect(stdout).toBe('passed\n')
  })
})
