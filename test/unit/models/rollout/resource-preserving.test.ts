import { describe, expect, it } from 'vitest'
import { ask, codeOf, gated, inState, loadGated, movesOf } from '../../../support/runtime-harness.js'
import { runtime, start, useSimulatedRuntime } from '../../../support/simulated-runtime.js'

useSimulatedRuntime()

/** Starts callers who send one request after another; the function that it returns ends them. */
function callers(settled: (outcome: number | string) => void): () => Promise<void> {
  let isOver = false
  const loop = async (): Promise<void> => {
    while (!isOver) {
      settled(await ask(runtime, 0).catch((error) => error.code))
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const work = Array.from({ length: 8 }, loop)
  return async () => {
    isOver = true
    await Promise.all(work)
  }
}

describe('a swap that preserves resources', () => {
  it('ends the old version before it loads the new one, and loses no request', async () => {
    await start({ swapStrategy: 'resource-preserving' })
    await loadGated(runtime, '1', { offset: 1 })
    const moves = movesOf(runtime)
    const outputs: (number | string)[] = []
    const end = callers((outcome) => outputs.push(outcome))
    const { drained } = await runtime.models.hotSwapModel({ ...gated({ offset: 2 }), newVersion: '2' })
    expect(await drained).toMatchObject({ version: '1', rejected: 0 })
    await ask(runtime, 0)
    await end()
    const [stopped, begun] = [
      moves.indexOf('gated@1 stopping>stopped'),
      moves.indexOf('gated@2 uninitialized>initializing'),
    ]
    expect(stopped).toBeGreaterThan(-1)
    expect(stopped).toBeLessThan(begun)
    expect(new Set(outputs)).toEqual(new Set([1, 2]))
    // All outputs of the first version come before all of the second.
    expect(outputs).toEqual([...outputs].sort())
    await expect(runtime.models.rollback('gated')).resolves.toMatchObject({ from: '2', to: '1' })
    expect(await ask(runtime, 0)).toBe(1)
  })

  it.each([
    ['cannot be loaded', { load: 'throw' as const }, 'ERR_MODEL_LOAD'],
    ['has another signature', { extraInput: 'z' }, 'ERR_SIGNATURE_MISMATCH'],
  ])('loads the old version again if the new one %s, which answers no request', async (_, options, code) => {
    await start({ swapStrategy: 'resource-preserving' })
    await loadGated(runtime, '1', { offset: 1 })
    const loads: string[] = []
    runtime.on('transition', ({ component, to, trigger }) => {
      if (to === 'initializing') loads.push(`${component} by ${trigger}`)
    })
    const outcomes = new Set<string | number>()
    const end = callers((outcome) => outcomes.add(outcome))
    const swap = runtime.models.hotSwapModel({ ...gated({ offset: 2, ...options }), newVersion: '3' })
    expect(await codeOf(swap)).toBe(code)
    await inState(runtime, 'gated', '1', 'running')
    expect(await ask(runtime, 0)).toBe(1)
    await end()
    expect(new Set([...outcomes, 'ERR_MODEL_UNAVAILABLE'])).toEqual(new Set([1, 'ERR_MODEL_UNAVAILABLE']))
    expect(loads).toEqual(['model gated@3 by hotSwapModel', 'model gated@1 by hotSwapModel'])
    expect(runtime.models.getModel('gated')?.version).toBe('1')
  })
})
