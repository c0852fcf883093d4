import { afterEach, describe, expect, it } from 'vitest'
import * as graphs from '../../models/synthetic/graphs.js'
import { type TempRepository, tempRepository } from '../../models/synthetic/temp-repository.js'
import { gate, runtime, start } from '../support/gated-runtime.js'
import { ask, Callers, codeOf, errorOf, loadGated, quietRuntime, yOf } from '../support/runtime-harness.js'

let repository: TempRepository | undefined
afterEach(() => {
  repository?.dispose()
  repository = undefined
})

/** A limit far below those that would end a test by themselves. */
const SOON_MS = 20

describe('close', () => {
  it('rejects requests that are not answered in time, names the thread and resolves', async () => {
    await start()
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const admitted = Promise.allSettled([ask(runtime, 1, 'hold'), ask(runtime, 2)])
    await held.arrival('run')
    const threadId = (await runtime.models.getModel('gated')?.replicas())?.[0]?.threadId
    const report = await runtime.close({ timeoutMs: SOON_MS })
    expect(report).toMatchObject({ rejected: 2, stuck: [{ model: 'gated', version: '1', threadId }] })
    for (const outcome of await admitted) {
      expect(outcome).toMatchObject({
        status: 'rejected',
        reason: { code: 'ERR_RUNTIME_CLOSED', model: 'gated', version: '1' },
      })
    }
    expect(runtime.state).toBe('stopped')
  })

  it('ends a thread that blocks in JavaScript', async () => {
    await start()
    const held = gate()
    await loadGated(runtime, '1', { gate: held })
    const blocked = codeOf(ask(runtime, 1, 'block'))
    await held.arrival('run')
    await runtime.close({ timeoutMs: SOON_MS })
    expect(await blocked).toBe('ERR_RUNTIME_CLOSED')
  })

  it('answers or rejects every request under load', async () => {
    repository = tempRepository({ m: { '1': graphs.constantAnswer(1) } })
    await start({ modelDir: repository.dir })
    const callers = new Callers(runtime, 'm', { '1': 1 })
    callers.start(16)
    await callers.more(100)
    const report = await runtime.close()
    await callers.finish('ERR_RUNTIME_CLOSED')
    expect(report).toMatchObject({ rejected: 0, stuck: [] })
    expect(callers.answered).toBeGreaterThanOrEqual(100)
  })

  it('rejects a load that does not return, in time', async () => {
    await start()
    const held = gate()
    const loading = errorOf(loadGated(runtime, '1', { gate: held, hold: ['load'] }))
    await held.arrival('load')
    const report = await runtime.close({ timeoutMs: SOON_MS })
    expect(report).toMatchObject({ stuck: [{ model: 'gated', version: '1' }] })
    expect(await loading).toMatchObject({ code: 'ERR_RUNTIME_CLOSED' })
  }, 10_000)

  it('is called at the end of an `await using` block', async () => {
    repository = tempRepository({ m: { '1': graphs.constantAnswer(1) } })
    {
      await using inner = await start({ modelDir: repository.dir })
      expect(yOf(await inner.predict('m', { x: 1 }))).toBe(2)
    }
    expect(runtime.state).toBe('stopped')
  })

  it('leaves another runtime of the same process untouched', async () => {
    await start()
    await loadGated(runtime, '1', { offset: 1 })
    await using other = await quietRuntime()
    await loadGated(other, '1', { offset: 2 })
    await runtime.close()
    expect(await ask(other, 0)).toBe(2)
  })
})
