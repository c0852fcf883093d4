import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { PoolKit, turn } from '../../support/pool-harness.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('a pool that follows another one', () => {
  it('sends its requests once no request of the predecessor waits', async () => {
    const [old, next] = [await PoolKit.open(), await PoolKit.open()]
    const requests = [old.ask(1), old.ask(2), old.ask(3)]
    next.pool.follow(old.pool)
    const later = next.ask(4)
    expect(next.threads.runs).toEqual([])
    await old.answer(1)
    expect(next.threads.runs).toEqual([])
    await old.answer(2)
    await next.answer(4)
    expect(later.y).toBe(4)
    await old.answer(3)
    expect(requests.map(({ y }) => y)).toEqual([1, 2, 3])
    const last = next.ask(5)
    await next.answer(5)
    expect(last.y).toBe(5)
  })

  it('sends its requests at once when no request of the predecessor waits, even if one runs', async () => {
    const [old, next] = [await PoolKit.open(), await PoolKit.open()]
    old.ask(1)
    next.pool.follow(old.pool)
    next.ask(2)
    expect(next.threads.runs).toEqual([2])
  })

  it('does not wait for a run of the predecessor that does not return', async () => {
    const [old, next] = [await PoolKit.open(), await PoolKit.open()]
    const [stuck, waiting] = [old.ask(1), old.ask(2)]
    next.pool.follow(old.pool)
    const later = next.ask(3)
    await vi.advanceTimersByTimeAsync(1_000)
    await next.answer(3)
    expect(later.y).toBe(3)
    expect([stuck.outcome, waiting.outcome]).toEqual([undefined, undefined])
  })

  it('goes on when the waiting requests of the predecessor are aborted', async () => {
    const [old, next] = [await PoolKit.open(), await PoolKit.open()]
    old.ask(1)
    const waiting = old.ask(2, { timeoutMs: 50 })
    next.pool.follow(old.pool)
    const later = next.ask(3)
    await vi.advanceTimersByTimeAsync(50)
    expect(waiting.code).toBe('ERR_DEADLINE_EXCEEDED')
    await next.answer(3)
    expect(later.y).toBe(3)
  })

  it('enforces deadlines, and rejects its requests when it is stopped', async () => {
    const [old, next] = [await PoolKit.open(), await PoolKit.open()]
    old.ask(1)
    old.ask(2)
    next.pool.follow(old.pool)
    const [hasty, patient] = [next.ask(3, { timeoutMs: 20 }), next.ask(4)]
    await vi.advanceTimersByTimeAsync(20)
    expect(hasty.code).toBe('ERR_DEADLINE_EXCEEDED')
    void next.pool.stop(0)
    await turn()
    expect(patient.code).toBe('ERR_MODEL_UNAVAILABLE')
    await vi.advanceTimersByTimeAsync(1_000)
    expect(next.threads.runs).toEqual([])
  })
})
