import { describe, expect, it } from 'vitest'
import { sharedProject } from '../support/packaging-harness.js'

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
