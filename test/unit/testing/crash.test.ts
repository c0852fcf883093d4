import { describe, expect, it } from 'vitest'
import { outcomeOf, serve, times, yOf } from '../../support/function-models.js'

describe('crash', () => {
  it('rejects the request in the run, and no other', async () => {
    const { runtime, clock, crash } = await serve({ '1': times(2, { latencyMs: 10 }) }, { maxPackMs: 1_000 })
    const first = runtime.predict('m', { x: 1 })
    await clock.advance(10)
    await first
    // They travel together, and the replica dies in the run of the second one.
    const requests = [1, 2, 3].map((x) => outcomeOf(runtime.predict('m', { x })))
    await clock.advance(15)
    await crash('m')
    await clock.advance(1_000)
    expect(await Promise.all(requests)).toEqual([2, 'ERR_REPLICA_EXITED', 6])
    await runtime.close()
  })

  it('announces the exit, and the replica is back after its backoff', async () => {
    const { runtime, clock, crash } = await serve({ '1': times(2) }, { restartBackoffMs: 300 })
    const exits: unknown[] = []
    runtime.on('replicaExited', (event) => exits.push(event))
    await crash('m')
    expect(exits).toEqual([expect.objectContaining({ model: 'm', version: '1', restartInMs: 300 })])
    const request = outcomeOf(runtime.predict('m', { x: 1 }))
    await clock.advance(299)
    expect(runtime.requests.active()).toHaveLength(1)
    await clock.advance(1)
    expect(await request).toBe(2)
    await runtime.close()
  })

  it('puts the version into error when its budget is spent', async () => {
    const { runtime, clock, crash } = await serve({ '1': times(2) }, { crashBudget: 2 })
    for (const _ of [1, 2]) {
      await crash('m')
      await clock.advance(1_000)
    }
    await crash('m')
    expect(runtime.models.getModel('m')?.state).toBe('error')
    await expect(runtime.predict('m', { x: 1 })).rejects.toMatchObject({
      code: 'ERR_MODEL_UNAVAILABLE',
      cause: { code: 'ERR_CIRCUIT_OPEN' },
    })
    await expect(crash('m')).rejects.toMatchObject({ code: 'ERR_MODEL_UNAVAILABLE' })
    await runtime.close()
    expect(clock.pending).toBe(0)
  })

  it('takes a replica inside a run first, of the active version or of the one that is named', async () => {
    const { runtime, clock, crash } = await serve(
      { '1': times(2, { latencyMs: 10 }), '2': times(3, { latencyMs: 10 }) },
      { replicas: 2 },
      { active: '1' },
    )
    await runtime.models.loadModel({ name: 'm', version: '2' })
    const requests = ['1', '2'].map((version) => outcomeOf(runtime.predict('m', { x: 1 }, { version })))
    await crash('m', '2')
    await clock.advance(10)
    expect(await Promise.all(requests)).toEqual([2, 'ERR_REPLICA_EXITED'])
    await runtime.close()
  })

  it('refuses what is not there', async () => {
    const { runtime, crash } = await serve({ '1': times(2) })
    await expect(crash('n')).rejects.toMatchObject({ code: 'ERR_MODEL_NOT_FOUND' })
    await expect(crash('m', '2')).rejects.toMatchObject({ code: 'ERR_VERSION_NOT_FOUND' })
    await runtime.close()
    await expect(crash('m')).rejects.toMatchObject({ code: 'ERR_MODEL_UNAVAILABLE' })
  })

  it('fails a load in which it comes', async () => {
    const versions = { '1': times(2), '2': times(3, { loadMs: 10 }) }
    const { runtime, clock, crash, close } = await serve(versions, {}, { active: '1' })
    const swap = expect(runtime.models.hotSwapModel({ name: 'm', newVersion: '2' })).rejects.toMatchObject({
      code: 'ERR_MODEL_LOAD',
      cause: { code: 'ERR_REPLICA_EXITED' },
    })
    await clock.advance(5)
    await crash('m', '2')
    await swap
    expect(yOf(await runtime.predict('m', { x: 1 }))).toBe(2)
    await close()
  })

  it('can come from the answer of a run', async () => {
    let crashes = true
    const answer = async (): Promise<{ y: number }> => {
      if (crashes) await crash('m')
      return { y: 7 }
    }
    const { runtime, clock, crash, close } = await serve({ '1': { answer } })
    expect(await outcomeOf(runtime.predict('m', { x: 1 }))).toBe('ERR_REPLICA_EXITED')
    crashes = false
    const request = runtime.predict('m', { x: 1 })
    await clock.advance(100)
    expect(yOf(await request)).toBe(7)
    await close()
  })
})

describe('the end of a test runtime', () => {
  it('waits for requests, and rejects those that are not answered in time', async () => {
    const { runtime, clock } = await serve({ '1': times(2, { latencyMs: 10 }) })
    const requests = [1, 2, 3].map((x) => outcomeOf(runtime.predict('m', { x })))
    const closing = runtime.close({ timeoutMs: 25 })
    await expect(runtime.predict('m', { x: 1 })).rejects.toMatchObject({ code: 'ERR_RUNTIME_CLOSED' })
    await clock.advance(25)
    expect(await Promise.all(requests)).toEqual([2, 4, 'ERR_RUNTIME_CLOSED'])
    await clock.advance(5)
    // Its run was under way when the time was over.
    expect(await closing).toMatchObject({ rejected: 1, stuck: [{ model: 'm', version: '1' }] })
    expect(clock.pending).toBe(0)
  })

  it('lets the time pass that it takes, and gives up a run that does not return', async () => {
    const { runtime, clock, close } = await serve({
      '1': times(2, { latencyMs: ({ x }) => (x?.data[0] === 1 ? 700 : Number.POSITIVE_INFINITY) }),
    })
    const requests = [1, 2].map((x) => outcomeOf(runtime.predict('m', { x })))
    const report = await close({ timeoutMs: 1_000 })
    expect(await Promise.all(requests)).toEqual([2, 'ERR_RUNTIME_CLOSED'])
    expect(report).toMatchObject({ rejected: 1, stuck: [{ model: 'm', version: '1' }] })
    expect(clock.now()).toBeGreaterThanOrEqual(1_000)
    expect(await close()).toBe(report)
  })
})
