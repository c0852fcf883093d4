import { describe, expect, it } from 'vitest'
import { outcomeOf, serve, times, yOf } from '../../support/function-models.js'

describe('requests of a test runtime', () => {
  it('are refused unless their input fits the signature', async () => {
    const { runtime } = await serve({ '1': times(2) })
    const refused = { code: 'ERR_INVALID_INPUT', model: 'm', version: '1' }
    await expect(runtime.predict('m', { z: 1 })).rejects.toMatchObject(refused)
    await expect(runtime.predict('m', { x: [1, 2] })).rejects.toMatchObject(refused)
    await expect(runtime.predict('m', { x: Float64Array.of(1) })).rejects.toMatchObject(refused)
    await expect(runtime.predict('n', { x: 1 })).rejects.toMatchObject({ code: 'ERR_MODEL_NOT_FOUND' })
    await runtime.close()
  })

  it('miss their deadline in the queue and in a run, on the clock of the test', async () => {
    const { runtime, clock, close } = await serve({ '1': times(2, { latencyMs: 50 }) })
    const [running, queued] = [1, 2].map((x) => runtime.predict('m', { x }, { timeoutMs: 10 }))
    const late = { code: 'ERR_DEADLINE_EXCEEDED', retryable: true }
    const checks = [
      expect(running).rejects.toMatchObject({ ...late, stage: 'in-flight' }),
      expect(queued).rejects.toMatchObject({ ...late, stage: 'queued' }),
    ]
    await clock.advance(9)
    expect(runtime.requests.active()).toHaveLength(2)
    await clock.advance(1)
    await Promise.all(checks)
    expect(runtime.requests.active()).toHaveLength(0)
    expect(await close()).toMatchObject({ rejected: 0, stuck: [] })
    expect(clock.pending).toBe(0)
  })

  it('are refused by a queue that is full, and admitted when there is room again', async () => {
    const { runtime, clock } = await serve({ '1': times(2, { latencyMs: 10 }) }, { maxQueue: 1 })
    const first = outcomeOf(runtime.predict('m', { x: 1 }))
    await clock.advance(0)
    const second = outcomeOf(runtime.predict('m', { x: 2 }))
    await expect(runtime.predict('m', { x: 3 })).rejects.toMatchObject({ code: 'ERR_OVERLOADED' })
    await clock.advance(10)
    const fourth = outcomeOf(runtime.predict('m', { x: 4 }))
    await clock.advance(20)
    expect(await Promise.all([first, second, fourth])).toEqual([2, 4, 8])
    await runtime.close()
  })

  it('reject when their signal aborts, and leave the queue', async () => {
    const { runtime, clock } = await serve({ '1': times(2, { latencyMs: 10 }) })
    const abort = new AbortController()
    const first = runtime.predict('m', { x: 1 })
    const second = outcomeOf(runtime.predict('m', { x: 2 }, { signal: abort.signal }))
    await clock.advance(5)
    abort.abort()
    expect(await second).toBe('ERR_ABORTED')
    await clock.advance(5)
    expect(yOf(await first)).toBe(2)
    expect(runtime.stats().models[0]?.stats).toMatchObject({ queued: 0, inFlight: 0 })
    await runtime.close()
  })

  it('are run in the order of their priority', async () => {
    const order: number[] = []
    const answer = ({ x }: Record<string, { data: ArrayLike<unknown> }>): { y: number } => {
      order.push(Number(x?.data[0]))
      return { y: 0 }
    }
    const { runtime, clock } = await serve({ '1': { answer, latencyMs: 10 } })
    const requests = [runtime.predict('m', { x: 0 })]
    await clock.advance(1)
    requests.push(...[1, 2, 3].map((x) => runtime.predict('m', { x }, { priority: x })))
    await clock.advance(39)
    await Promise.all(requests)
    expect(order).toEqual([0, 3, 2, 1])
    await runtime.close()
  })

  it('run side by side on as many replicas as there are', async () => {
    const { runtime, clock } = await serve({ '1': times(2, { latencyMs: 10 }) }, { replicas: 3 })
    const requests = [1, 2, 3, 4].map((x) => outcomeOf(runtime.predict('m', { x })))
    await clock.advance(10)
    expect(runtime.requests.active()).toHaveLength(1)
    await clock.advance(10)
    expect(await Promise.all(requests)).toEqual([2, 4, 6, 8])
    await runtime.close()
  })

  it('put a replica whose run does not return into quarantine, and go on with another one', async () => {
    const versions = {
      '1': times(2, { latencyMs: ({ x }) => (x?.data[0] === 1 ? Number.POSITIVE_INFINITY : 0) }),
    }
    const { runtime, clock, close } = await serve(versions, { stuckAfterMs: 1_000 })
    const stuck = outcomeOf(runtime.predict('m', { x: 1 }))
    await clock.advance(1_000)
    expect(await stuck).toBe('ERR_REPLICA_STUCK')
    await clock.advance(1_000)
    expect(yOf(await runtime.predict('m', { x: 2 }))).toBe(4)
    expect((await close({ timeoutMs: 100 })).stuck).toHaveLength(1)
  })

  it('take the buffers of their inputs with `transfer`', async () => {
    const { runtime } = await serve({ '1': times(2) })
    const x = Float32Array.of(1)
    expect(yOf(await runtime.predict('m', { x }, { transfer: true }))).toBe(2)
    expect(x).toHaveLength(0)
    await runtime.close()
  })
})
