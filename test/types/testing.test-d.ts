import type { CloseReport, Runtime, Tensor } from 'tbcoin-engine'
import {
  createTestRuntime,
  type TestClock,
  type TestRuntimeOptions,
  type TestVersion,
} from 'tbcoin-engine/testing'
import { describe, expectTypeOf, it } from 'vitest'

const signature = {
  inputs: [{ name: 'x', type: 'float32', dims: [1] }],
  outputs: [{ name: 'y', type: 'float32', dims: ['n'] }],
} as const

describe('tbcoin-engine/testing', () => {
  it('gives the runtime of the package, its clock, crash and close', async () => {
    const made = await createTestRuntime({
      models: { m: { signature, versions: { '1': { answer: () => ({ y: 1 }) } } } },
    })
    expectTypeOf(made.runtime).toEqualTypeOf<Runtime>()
    expectTypeOf(made.clock).toEqualTypeOf<TestClock>()
    expectTypeOf(made.clock.advance).toEqualTypeOf<(ms: number) => Promise<void>>()
    expectTypeOf(made.crash).toEqualTypeOf<(name: string, version?: string) => Promise<void>>()
    expectTypeOf(made.close()).toEqualTypeOf<Promise<CloseReport>>()
  })

  it('takes answers in any form, at once or later', () => {
    expectTypeOf<TestVersion['answer']>().parameter(0).toEqualTypeOf<Record<string, Tensor>>()
    const versions: Record<string, TestVersion> = {
      '1': { answer: () => ({ y: [1, 2] }), latencyMs: 5, loadMs: 5, loadError: new Error('no weights') },
      '2': { answer: async ({ x }) => ({ y: x as Tensor }), latencyMs: ({ x }) => x?.data.length ?? 0 },
      '3': { answer: () => ({ y: Float32Array.of(1) }), loadError: () => undefined },
    }
    expectTypeOf(versions).toEqualTypeOf<Record<string, TestVersion>>()
  })

  it('refuses what has no meaning', () => {
    expectTypeOf<TestRuntimeOptions>().not.toHaveProperty('modelDir')
    expectTypeOf<TestRuntimeOptions>().not.toHaveProperty('niceIncrement')
    // @ts-expect-error: a version needs an answer.
    const version: TestVersion = { latencyMs: 5 }
    expectTypeOf(version).toEqualTypeOf<TestVersion>()
  })
})
