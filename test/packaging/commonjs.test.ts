import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Project } from './kit.js'

const typed = `
import { createRuntime, isRuntimeError, type Outputs, PooledResource, Runtime, RuntimeError } from 'tbcoin-engine'

async function ask(): Promise<Outputs> {
  const runtime: Runtime = await createRuntime({ replicas: 1 })
  class Mine extends RuntimeError {}
  try {
    return await runtime.predict('m', { x: [1] })
  } catch (error) {
    if (isRuntimeError(error) && error.code === 'ERR_OVERLOADED') console.log(error.retryAfterMs, Mine)
    throw error
  }
}
export const items: PooledResource<string> | undefined = undefined
void ask
`
const jest = `
const { createRuntime } = require('tbcoin-engine')
test('answers', async () => {
  const runtime = await createRuntime({ logLevel: 'silent', models: [{ name: 'm', version: '1', source: 'model.onnx' }] })
  const { probabilities } = await runtime.predict('m', { x: [[1, 2, 3, 4]] })
  expect(probabilities.data).toHaveLength(3)
  await runtime.close()
})
`

describe('a project in CommonJS', () => {
  let project: Project
  beforeAll(async () => {
    project = await Project.install([
      'jest@30',
      '@types/node@20',
      'ts56@npm:typescript@5.6',
      'ts59@npm:typescript@5.9',
      'ts7@npm:typescript@7',
    ])
    project.write({ 'ask.cts': typed, 'ask.mts': typed, 'answer.test.js': jest })
  })
  afterAll(() => project[Symbol.dispose]())

  it('can require the package in the default mode of Jest', async () => {
    const { stderr } = await project.run('npx', ['jest'])
    expect(stderr).toContain('1 passed')
  })

  it.each([
    ['ts56', 'node16'],
    ['ts56', 'nodenext'],
    ['ts59', 'node16'],
    ['ts59', 'node18'],
    ['ts59', 'nodenext'],
    ['ts7', 'node18'],
    ['ts7', 'nodenext'],
  ])('compiles with %s and module %s, as CommonJS and as an ES module', async (compiler, module) => {
    const options = [
      '--noEmit',
      '--strict',
      '--skipLibCheck',
      'false',
      '--target',
      'es2022',
      '--types',
      'node',
    ]
    const args = [`node_modules/${compiler}/bin/tsc`, ...options, '--module', module, 'ask.cts', 'ask.mts']
    expect((await project.node(...args)).stdout).toBe('')
  })
})
