import type { ModelHandle } from 'tbcoin-engine'
import { afterAll, describe, expect, it } from 'vitest'
import * as graphs from '../../models/synthetic/graphs.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { runtime, start } from '../support/gated-runtime.js'
import { errorOf } from '../support/runtime-harness.js'

const repository = tempRepository({
  classifier: { '1': graphs.labelAndMaps(), '2': graphs.labelAndMaps() },
  mixed: { '1': graphs.tensorsAmongOthers() },
  small: { '1': graphs.int4Output() },
})
afterAll(() => repository.dispose())

async function load(name: string, config = {}): Promise<ModelHandle> {
  await start()
  return runtime.models.loadModel({ name, version: '1', source: repository.path(name, '1'), config })
}

describe('a model with an output of an unsupported type', () => {
  it('serves a request for other outputs', async () => {
    const handle = await load('classifier')
    const options = { outputs: ['label'] }
    expect(await handle.predict({ x: [[1, 0]] }, options)).toEqual({
      label: { type: 'int64', dims: [1], data: BigInt64Array.of(7n) },
    })
    const rows = Array.from({ length: 200 }, (_, index) => index % 3)
    const answers = await Promise.all(rows.map((row) => handle.predict({ x: [[row, 1.5]] }, options)))
    expect(answers.map(({ label }) => label?.data[0])).toEqual(rows.map((row) => (row > 1.5 ? 7n : 9n)))
  })

  it.each([
    ['names no outputs', undefined],
    ['names that output', ['probabilities']],
    ['names that output and another', ['label', 'probabilities']],
  ])('refuses a request that %s, and suggests the outputs to name', async (_, outputs) => {
    const handle = await load('classifier')
    const error = await errorOf(handle.predict({ x: [[1, 0]] }, { outputs }))
    expect(error).toMatchObject({ code: 'ERR_UNSUPPORTED_MODEL', model: 'classifier', version: '1' })
    expect(error.message).toMatch(/output "probabilities" is a sequence, map or optional value/)
    expect(error.message).toContain('`outputs: ["label"]`')
    expect(await handle.predict({ x: [[0, 1]] }, { outputs: ['label'] })).toMatchObject({
      label: { data: BigInt64Array.of(9n) },
    })
    expect(handle.stats().pool?.restarts).toBe(0)
  })

  it('still refuses an unknown name', async () => {
    const handle = await load('classifier')
    const error = await errorOf(handle.predict({ x: [[1, 0]] }, { outputs: ['score'] }))
    expect(error).toMatchObject({ code: 'ERR_INVALID_OPTIONS' })
  })

  it('lists that output in its signature', async () => {
    const { signature } = await load('mixed')
    expect(signature?.outputs.map(({ name }) => name)).toEqual(['y', 'twice'])
    expect(signature?.unsupported?.map(({ name }) => name)).toEqual(['parts', 'maybe'])
    expect((await runtime.models.getModel('mixed')?.replicas())?.[0]?.description?.signature).toEqual(
      signature,
    )
  })

  it('returns each other output with its own value, in any order', async () => {
    const handle = await load('mixed')
    const x = Float32Array.of(1, -2)
    const [y, twice] = [{ data: x }, { data: Float32Array.of(2, -4) }]
    expect(await handle.predict({ x }, { outputs: ['twice', 'y'] })).toMatchObject({ y, twice })
    expect(Object.keys(await handle.predict({ x }, { outputs: ['twice'] }))).toEqual(['twice'])
    expect(await handle.predict({ x }, { outputs: ['y'] })).toMatchObject({ y })
  })

  it('is warmed up with a sample for the other outputs', async () => {
    const sample = { input: { x: [[3, 1]] }, output: { label: [7] } }
    const handle = await load('classifier', { sample })
    expect(handle.state).toBe('running')
    const wrong = { sample: { ...sample, output: { label: [9] } } }
    const source = repository.path('classifier', '2')
    const error = await errorOf(
      runtime.models.hotSwapModel({ name: 'classifier', newVersion: '2', source, config: wrong }),
    )
    expect(error).toMatchObject({ code: 'ERR_WARMUP' })
  })

  it('includes models with an element type that has no array in JavaScript', async () => {
    const handle = await load('small')
    expect(handle.signature?.unsupported).toMatchObject([{ name: 'small' }])
    expect(await handle.predict({ x: [1, 2] }, { outputs: ['y'] })).toMatchObject({
      y: { data: Float32Array.of(1, 2) },
    })
    expect((await errorOf(handle.predict({ x: [1] }))).message).toMatch(
      /output "small" has element type int4/,
    )
  })
})
