import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { untilAborted, withLimit } from '../../../src/async/until-aborted.js'
import { systemClock } from '../../../src/platform/clock.js'
import { follow, turn } from '../../support/pool-harness.js'
import { Deferred } from '../../support/resource-harness.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('untilAborted', () => {
  it('does not begin the work when the signal has already aborted', async () => {
    const work = vi.fn()
    await expect(untilAborted(AbortSignal.abort('why'), work)).rejects.toBe('why')
    expect(work).not.toHaveBeenCalled()
  })

  it('settles as the work does when the signal does not abort', async () => {
    const { signal } = new AbortController()
    await expect(untilAborted(signal, () => 1)).resolves.toBe(1)
    await expect(untilAborted(signal, () => Promise.reject('no'))).rejects.toBe('no')
    const broken = (): never => {
      throw new Error('at once')
    }
    await expect(untilAborted(signal, broken)).rejects.toThrow('at once')
  })

  it('hands the unfinished work over when the signal aborts first', async () => {
    const controller = new AbortController()
    const gate = new Deferred<number>()
    const handed: number[] = []
    const outcome = follow(
      untilAborted(
        controller.signal,
        () => gate.promise,
        (working) => void working.then((value) => handed.push(value)),
      ),
    )
    controller.abort(new Error('enough'))
    await turn()
    expect(outcome.error?.message).toBe('enough')
    gate.resolve(7)
    await turn()
    expect(handed).toEqual([7])
  })

  it.each([0, 1, 2, 3, 4, 5, 6])(
    'delivers the result exactly once when the work settles %i microtasks before the abort',
    async (microtasks) => {
      const controller = new AbortController()
      const gate = new Deferred<number>()
      const handed: number[] = []
      const outcome = follow(
        untilAborted(
          controller.signal,
          () => gate.promise,
          (working) => void working.then((value) => handed.push(value)),
        ),
      )
      gate.resolve(7)
      for (let passed = 0; passed < microtasks; passed += 1) await undefined
      controller.abort(new Error('enough'))
      await turn()
      expect([outcome.value, ...handed].filter((value) => value !== undefined)).toEqual([7])
    },
  )
})

describe('withLimit', () => {
  it('leaves no timer behind, whether the work resolves, rejects or times out', async () => {
    const late = (): Error => new Error('late')
    await expect(withLimit(systemClock, 100, () => 1, late)).resolves.toBe(1)
    await expect(withLimit(systemClock, 100, () => Promise.reject(new Error('no')), late)).rejects.toThrow(
      'no',
    )
    expect(vi.getTimerCount()).toBe(0)
    const outcome = follow(withLimit(systemClock, 100, () => new Deferred().promise, late))
    await vi.advanceTimersByTimeAsync(100)
    expect(outcome.error?.message).toBe('late')
    expect(vi.getTimerCount()).toBe(0)
  })
})
