import { describe, expect, it } from 'vitest'
import { outcomeOf, serve, times, yOf } from '../../support/function-models.js'

describe('versions of a test runtime', () => {
  it('are swapped while requests run, which their own version answers', async () => {
    const { runtime, clock } = await serve(
      { '5': times(2, { latencyMs: 10 }), '6': times(3, { loadMs: 20 }) },
      {},
      { active: '5' },
    )
    const before = outcomeOf(runtime.predict('m', { x: 1 }))
    const swapping = runtime.models.hotSwapModel({ name: 'm', newVersion: '6' })
    await clock.advance(15)
    expect(await before).toBe(2)
    const during = outcomeOf(runtime.predict('m', { x: 1 }))
    await clock.advance(4)
    expect(runtime.models.getModel('m')?.version).toBe('5')
    await clock.advance(1)
    const { drained } = await swapping
    expect(runtime.models.getModel('m')?.version).toBe('6')
    expect(yOf(await runtime.predict('m', { x: 1 }))).toBe(3)
    await clock.advance(5)
    expect(await during).toBe(2)
    expect(await drained).toMatchObject({ version: '5', rejected: 0 })
    await runtime.models.rollback('m')
    await runtime.close({ timeoutMs: 0 })
    expect(clock.pending).toBe(0)
  })

  it('leave the old one serving when their load fails', async () => {
    const fault = Object.assign(new TypeError('no weights'), { code: 'E_WEIGHTS' })
    let fails = true
    const loadError = (): Error | undefined => (fails ? fault : undefined)
    const { runtime } = await serve({ '5': times(2), '6': times(3, { loadError }) }, {}, { active: '5' })
    const swap = (): Promise<unknown> => runtime.models.hotSwapModel({ name: 'm', newVersion: '6' })
    await expect(swap()).rejects.toMatchObject({
      code: 'ERR_MODEL_LOAD',
      model: 'm',
      version: '6',
      cause: { name: 'TypeError', message: 'no weights', code: 'E_WEIGHTS' },
    })
    expect(yOf(await runtime.predict('m', { x: 1 }))).toBe(2)
    fails = false
    await swap()
    expect(yOf(await runtime.predict('m', { x: 1 }))).toBe(3)
    await runtime.close()
  })

  it('whose load does not end fail after `loadTimeoutMs`', async () => {
    const { runtime, clock, close } = await serve(
      { '5': times(2), '6': times(3, { loadMs: Number.POSITIVE_INFINITY }) },
      { loadTimeoutMs: 1_000 },
      { active: '5' },
    )
    const failed = expect(runtime.models.hotSwapModel({ name: 'm', newVersion: '6' })).rejects.toMatchObject({
      code: 'ERR_MODEL_LOAD',
    })
    // A thread that is stuck has a second to end.
    await clock.advance(2_000)
    await failed
    expect(yOf(await runtime.predict('m', { x: 1 }))).toBe(2)
    await close()
  })

  it('that take something else are refused by a swap', async () => {
    const signature = {
      inputs: [{ name: 'x', type: 'int64', dims: [1] }],
      outputs: [{ name: 'y', type: 'float32', dims: [1] }],
    } as const
    const { runtime } = await serve({ '5': times(2), '6': times(3, { signature }) }, {}, { active: '5' })
    await expect(runtime.models.hotSwapModel({ name: 'm', newVersion: '6' })).rejects.toMatchObject({
      code: 'ERR_SIGNATURE_MISMATCH',
    })
    await runtime.close()
  })

  it('are loaded by `loadModel`, by the first request or at the start', async () => {
    const versions = { '5': times(2), '6': times(3) }
    const none = await serve(versions, {}, { active: false })
    await expect(none.runtime.predict('m', { x: 1 })).rejects.toMatchObject({ code: 'ERR_MODEL_NOT_FOUND' })
    await none.runtime.models.loadModel({ name: 'm', version: '5' })
    expect(yOf(await none.runtime.predict('m', { x: 1 }))).toBe(2)
    await none.runtime.close()
    const latest = await serve(versions)
    expect(yOf(await latest.runtime.predict('m', { x: 1 }))).toBe(3)
    expect(yOf(await latest.runtime.predict('m', { x: 1 }, { version: '5' }))).toBe(2)
    await latest.runtime.close()
  })

  it('that are not listed are refused, by name and with a file', async () => {
    const { runtime } = await serve({ '5': times(2) })
    await expect(runtime.models.loadModel({ name: 'm', version: '7' })).rejects.toMatchObject({
      code: 'ERR_VERSION_NOT_FOUND',
    })
    await expect(
      runtime.models.loadModel({ name: 'm', version: '7', source: 'seven.onnx' }),
    ).rejects.toMatchObject({ code: 'ERR_MODEL_LOAD', message: expect.stringContaining('createTestRuntime') })
    await runtime.close()
  })

  it('are evicted when they are idle, and loaded again by a request', async () => {
    const { runtime, clock } = await serve({ '5': times(2) }, { modelIdleMs: 60_000 })
    expect(runtime.models.getModel('m')?.state).toBe('running')
    await clock.advance(60_000)
    expect(runtime.models.getModel('m')?.state).toBe('stopped')
    expect(yOf(await runtime.predict('m', { x: 1 }))).toBe(2)
    expect(runtime.models.getModel('m')?.state).toBe('running')
    await runtime.close()
    expect(clock.pending).toBe(0)
  })

  it('reject the requests that are left when the time of their drain is over', async () => {
    const { runtime, clock } = await serve(
      { '5': times(2, { latencyMs: 1_000 }), '6': times(3) },
      { drainTimeoutMs: 100 },
      { active: '5' },
    )
    const request = outcomeOf(runtime.predict('m', { x: 1 }))
    await clock.advance(0)
    const { drained } = await runtime.models.hotSwapModel({ name: 'm', newVersion: '6' })
    await clock.advance(100)
    expect(await request).toBe('ERR_DRAIN_TIMEOUT')
    await clock.advance(2_000)
    expect(await drained).toMatchObject({ rejected: 1 })
    await runtime.close()
    expect(clock.pending).toBe(0)
  })

  it('serve after their warm-up only', async () => {
    const sample = { input: { x: [1] }, output: { y: [3] } }
    await expect(serve({ '5': times(2) }, {}, { config: { sample } })).rejects.toMatchObject({
      code: 'ERR_WARMUP',
    })
    const slow = await serve({ '5': times(3, { latencyMs: 10, loadMs: 5 }) }, {}, { config: { sample } })
    expect(slow.clock.now()).toBe(15)
    await slow.runtime.close()
  })
})

describe('the start of a test runtime', () => {
  it('rejects if a model cannot be loaded, or leaves it out', async () => {
    const versions = { '5': times(2, { loadError: new Error('no weights') }) }
    await expect(serve(versions)).rejects.toMatchObject({ code: 'ERR_MODEL_LOAD' })
    const { runtime } = await serve(versions, { onLoadError: 'degrade' })
    await expect(runtime.predict('m', { x: 1 })).rejects.toMatchObject({ code: 'ERR_MODEL_UNAVAILABLE' })
    await runtime.close()
  })

  it('takes the time of its loads, and fails with those that take too long', async () => {
    const { runtime, clock } = await serve({ '5': times(2, { loadMs: 700 }) })
    expect(clock.now()).toBe(700)
    await runtime.close()
    const never = serve({ '5': times(2, { loadMs: Number.POSITIVE_INFINITY }) })
    await expect(never).rejects.toMatchObject({ code: 'ERR_MODEL_LOAD' })
  })
})
