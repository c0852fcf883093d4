import { describe, expect, it } from 'vitest'
import { sharedProject } from '../support/packaging-harness.js'

const ask = `
import { createRuntime, isRuntimeError, type Outputs, PooledResource, Runtime, RuntimeError } from 'tbcoin-engine'
import { createTestRuntime, type TestClock, type TestRuntimeOptions, type TestVersion } from 'tbcoin-engine/testing'

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
const version: TestVersion = { answer: async ({ x }) => ({ y: x === undefined ? 0 : x.data.length }), latencyMs: 5 }
const spec = { name: 'x', type: 'float32', dims: [1] } as const
const signature = { inputs: [spec], outputs: [{ ...spec, name: 'y' }] }
const options: TestRuntimeOptions = { models: { m: { signature, versions: { '1': version } } }, maxQueue: 1 }

async function tryOut(): Promise<Runtime> {
  const made = await createTestRuntime(options)
  const clock: TestClock = made.clock
  await clock.advance(5)
  await made.crash('m', '1')
  await made.close({ timeoutMs: 5 })
  return made.runtime
}
void tryOut
export const items: PooledResource<string> | undefined = undefined
void ask
`

const both = ['ask.cts', 'ask.mts']
const exact = { exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, verbatimModuleSyntax: true }

const project = await sharedProject([
  '@types/node@20',
  'ts56@npm:typescript@5.6',
  'ts59@npm:typescript@5.9',
  'ts7@npm:typescript@7',
])

describe('the types, checked without skipLibCheck', () => {
  const check = async (compiler: string, files: readonly string[], options: object): Promise<string> => {
    const common = { noEmit: true, strict: true, skipLibCheck: false, target: 'es2022' }
    project.write({
      'ask.cts': ask,
      'ask.mts': ask,
      'tsconfig.json': JSON.stringify({ compilerOptions: { ...common, ...options }, files }),
    })
    return (await project.node(`node_modules/${compiler}/bin/tsc`, '--project', '.')).stdout
  }

  it.each([
    ['ts56', 'node16'],
    ['ts56', 'nodenext'],
    ['ts59', 'node16'],
    ['ts59', 'node18'],
    ['ts59', 'nodenext'],
    ['ts7', 'node18'],
    ['ts7', 'nodenext'],
  ])('compile with %s and module %s, as CommonJS and as an ES module', async (compiler, module) => {
    expect(await check(compiler, both, { module, types: [] })).toBe('')
  })

  it.each(['ts56', 'ts59', 'ts7'])('compile with %s if the types of Node are listed', async (compiler) => {
    expect(await check(compiler, both, { module: 'nodenext', types: ['node'] })).toBe('')
  })

  it.each([
    ['ts56', { module: 'esnext', moduleResolution: 'bundler' }],
    ['ts59', { module: 'preserve' }],
    ['ts7', { module: 'nodenext' }],
  ])('compile with %s, the strictest options and %o', async (compiler, options) => {
    expect(await check(compiler, ['ask.mts'], { ...options, ...exact, types: [] })).toBe('')
  })
})
