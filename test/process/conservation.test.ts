import { afterAll, describe, expect, it } from 'vitest'
import { bigLoad, loop, tripsPerMs } from '../../models/synthetic/graphs.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { type ChildResult, messageOf, runChild, startChild, tries } from '../support/run-child.js'

const repository = tempRepository({ loop: { '1': loop() }, big: { '1': bigLoad(24) } })
afterAll(() => repository.dispose())

interface Settled {
  readonly submitted: number
  readonly answered: number
  readonly rejected: Readonly<Record<string, number>>
  readonly [field: string]: unknown
}

/** Returns the outcomes of the requests, after the conservation check. */
function settled(child: ChildResult): Settled {
  const counts = messageOf(child, 'settled') as unknown as Settled
  const rejections = Object.values(counts.rejected).reduce((sum, count) => sum + count, 0)
  expect(counts.answered + rejections, JSON.stringify(counts)).toBe(counts.submitted)
  const unknown = Object.keys(counts.rejected).filter((code) => code.startsWith('unknown'))
  expect(unknown).toEqual([])
  return counts
}

describe('while replicas run', () => {
  const replicas = 2
  const source = repository.path('loop', '1')
  const input = {
    models: [{ name: 'loop', version: '1', source }],
    next: { name: 'loop', newVersion: '2', source },
    replicas,
    trips: tripsPerMs * 20,
  }

  it.each([
    ['close', 'ERR_RUNTIME_CLOSED'],
    ['unloadModel', 'ERR_MODEL_NOT_FOUND'],
  ])(
    '%s completes admitted requests and refuses later ones with %s',
    { repeats: tries - 1 },
    async (action, code) => {
      const child = await runChild('settle-while-running.mjs', { input: { ...input, action } })
      expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
      const counts = settled(child)
      expect(counts).toMatchObject({
        action: 'ok',
        answered: replicas * 3,
        rejected: { [code]: replicas * 3 },
      })
    },
  )

  it('hotSwapModel completes every request', { repeats: tries - 1 }, async () => {
    const child = await runChild('settle-while-running.mjs', { input: { ...input, action: 'hotSwapModel' } })
    expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
    expect(settled(child)).toMatchObject({ action: 'ok', answered: replicas * 6, rejected: {} })
  })

  it('a SIGTERM handler that closes the runtime settles every accepted request', {
    repeats: tries - 1,
  }, async () => {
    const child = startChild('close-on-signal.mjs', { input: { ...input, trips: tripsPerMs * 10 } })
    await child.message('serving')
    child.kill('SIGTERM')
    const result = await child.result
    expect(result).toMatchObject({ code: 0, signal: null, stderr: '' })
    const counts = settled(result)
    expect(counts.closeRejected).toBe(0)
    expect(Object.keys(counts.rejected).filter((code) => code !== 'ERR_RUNTIME_CLOSED')).toEqual([])
    expect(counts.answered).toBeGreaterThan(0)
  })
})

describe('while replicas load', () => {
  const source = repository.path('big', '1')
  const input = {
    models: ['big', 'cold'].map((name) => ({ name, version: '1', source })),
    next: { name: 'big', newVersion: '2', source },
    later: { name: 'big', newVersion: '3', source },
  }
  const moments = Array.from({ length: tries }, (_, i) => i * 20)

  it.each(moments)('close settles every request after %i ms', async (afterMs) => {
    const child = await runChild('settle-while-loading.mjs', {
      input: { ...input, action: 'close', afterMs },
    })
    expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
    const counts = settled(child)
    expect(counts.action).toBe('ok')
    expect(['ok', 'ERR_RUNTIME_CLOSED']).toContain(counts.swap)
    expect(Object.keys(counts.rejected)).toEqual(['ERR_RUNTIME_CLOSED'])
  })

  it.each(moments)('unloadModel settles every request after %i ms', async (afterMs) => {
    const child = await runChild('settle-while-loading.mjs', {
      input: { ...input, action: 'unloadModel', afterMs },
    })
    expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
    const counts = settled(child)
    expect(counts).toMatchObject({ action: 'ok', swap: 'ok' })
    expect(Object.keys(counts.rejected)).toEqual(['ERR_MODEL_NOT_FOUND'])
  })

  it.each(moments)('a newer hotSwapModel loses no request after %i ms', async (afterMs) => {
    const child = await runChild('settle-while-loading.mjs', {
      input: { ...input, action: 'hotSwapModel', afterMs },
    })
    expect(child).toMatchObject({ code: 0, signal: null, stderr: '' })
    const counts = settled(child)
    expect(counts.action).toBe('ok')
    expect(['ok', 'ERR_SWAP_SUPERSEDED']).toContain(counts.swap)
    expect(counts.rejected).toEqual({})
  })
})
