import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { mlp } from '../../models/synthetic/graphs.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { type ChildResult, messageOf, runChild, tries } from '../support/run-child.js'
import { type SoftwareGpu, softwareGpu, whyNoSoftwareGpu } from '../support/software-gpu.js'

const missing = whyNoSoftwareGpu()
const repository = tempRepository({ mlp: { '1': mlp() } })
let gpu: SoftwareGpu
beforeAll(() => {
  if (missing === undefined) gpu = softwareGpu()
})
afterAll(() => {
  gpu?.[Symbol.dispose]()
  repository.dispose()
})

/** A software GPU compiles its shaders on cores that other processes may use too. */
const repeats = { repeats: tries - 1, timeout: 240_000 }

/** Runs the script on the software GPU, which is slow itself. */
function onWebGpu(input: object): Promise<ChildResult> {
  const all = { source: repository.path('mlp', '1'), names: ['m'], swaps: 0, requests: 21, ...input }
  return runChild('use-webgpu.mjs', { input: all, env: gpu.env, limitMs: 200_000 })
}

/** Checks that WebGPU served every request, with the outputs of the CPU. */
function expectAnswers(child: ChildResult, code: number): void {
  expect(child).toMatchObject({ code, signal: null, isOverdue: false })
  const { providers, counts, furthest } = messageOf(child, 'ending')
  expect(new Set(providers as string[])).toEqual(new Set(['webgpu']))
  expect(counts).toMatchObject({ rejected: {} })
  expect(furthest).toBeLessThan(1e-5)
}

describe.skipIf(missing !== undefined)('a process with models on WebGPU', () => {
  it('is refused a second replica', async () => {
    const child = await onWebGpu({ replicas: 2 })
    expect(child).toMatchObject({ code: 0, signal: null })
    const { refused } = messageOf(child, 'ending')
    expect(refused).toMatchObject({ code: 'ERR_INVALID_OPTIONS', model: 'm' })
  })

  it('survives hot swaps under load', repeats, async () => {
    expectAnswers(await onWebGpu({ swaps: 3 }), 0)
  })

  it('survives two models that run at the same time', repeats, async () => {
    expectAnswers(await onWebGpu({ names: ['m', 'n'] }), 0)
  })

  it('ends with its own code during runs', repeats, async () => {
    expectAnswers(await onWebGpu({ names: ['m', 'n'], end: 'exit' }), 3)
  })
})

describe.skipIf(missing === undefined)('a GPU in software', () => {
  it.skip(`is not to be had: ${missing}`)
})
