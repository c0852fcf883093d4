import { describe, expect, it } from 'vitest'
import type { Outputs, Signature } from '../../../src/tensors/tensor.js'
import { createTestRuntime, type TestVersion } from '../../../src/testing/index.js'

const signature: Signature = {
  inputs: [{ name: 'x', type: 'float32', dims: [1] }],
  outputs: [{ name: 'y', type: 'float32', dims: [1] }],
}

/** A version that multiplies. */
function times(factor: number, rest: Partial<TestVersion> = {}): TestVersion {
  return { answer: ({ x }) => ({ y: factor * Number(x?.data[0]) }), ...rest }
}

function yOf({ y }: Outputs): number {
  return Number(y?.data[0])
}

describe('a test runtime', () => {
  it('answers without time where runs have no latency', async () => {
    const { runtime, clock } = await createTestRuntime({
      models: { m: { signature, versions: { '1': times(2) } } },
    })
    expect(yOf(await runtime.predict('m', { x: 3 }))).toBe(6)
    expect(clock.now()).toBe(0)
    await runtime.close()
    expect(clock.pending).toBe(0)
  })

  it('answers when the latency of the run has passed on its clock', async () => {
    const versions = { '1': times(2, { latencyMs: 5 }) }
    const { runtime, clock } = await createTestRuntime({ models: { m: { signature, versions } } })
    let y: number | undefined
    const request = runtime.predict('m', { x: 3 }).then((outputs) => {
      y = yOf(outputs)
    })
    await clock.advance(4)
    expect(y).toBeUndefined()
    await clock.advance(1)
    expect(y).toBe(6)
    await request
    await runtime.close()
  })

  it('loses the run in which a replica crashes, and replaces the replica after its backoff', async () => {
    const versions = { '1': times(2, { latencyMs: 5 }) }
    const { runtime, clock, crash } = await createTestRuntime({ models: { m: { signature, versions } } })
    const lost = expect(runtime.predict('m', { x: 3 })).rejects.toMatchObject({ code: 'ERR_REPLICA_EXITED' })
    await crash('m')
    await lost
    const next = runtime.predict('m', { x: 4 })
    await clock.advance(105)
    expect(yOf(await next)).toBe(8)
    await runtime.close()
    expect(clock.pending).toBe(0)
  })

  it('swaps to a version that is listed, without a file', async () => {
    const versions = { '5': times(2), '6': times(3) }
    const { runtime } = await createTestRuntime({ models: { m: { signature, versions, active: '5' } } })
    expect(yOf(await runtime.predict('m', { x: 1 }))).toBe(2)
    await runtime.models.hotSwapModel({ name: 'm', newVersion: '6' })
    expect(yOf(await runtime.predict('m', { x: 1 }))).toBe(3)
    await runtime.close()
  })
})
