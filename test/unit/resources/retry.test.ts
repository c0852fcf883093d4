import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { systemClock } from '../../../src/platform/clock.js'
import { ResourceLifecycleManager } from '../../../src/resources/resource-manager.js'
import { retry, retryDelayMs } from '../../../src/resources/retry.js'
import { TestClock } from '../../../src/testing/test-clock.js'
import { follow, turn } from '../../support/pool-harness.js'
import { Deferred, ResourceKit } from '../../support/resource-harness.js'
import { seededRandom } from '../../support/seeded-random.js'
import { listLogger } from '../../support/test-logger.js'

const policy = { attempts: 4, minDelayMs: 100, maxDelayMs: 350, factor: 2 }

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** Returns a function that fails `times` times and then succeeds. */
function failing(times: number): ReturnType<typeof vi.fn<() => Promise<string>>> {
  let calls = 0
  return vi.fn(async () => {
    calls += 1
    if (calls <= times) throw new Error(`failure ${calls}`)
    return 'made'
  })
}

describe('the delay before another attempt', () => {
  it('is random between 0 and a bound that grows up to a maximum', () => {
    expect([1, 2, 3, 9].map((failures) => retryDelayMs(policy, failures, 1))).toEqual([100, 200, 350, 350])
    expect([1, 2, 3, 9].map((failures) => retryDelayMs(policy, failures, 0))).toEqual([0, 0, 0, 0])
    expect(retryDelayMs(policy, 2, 0.25)).toBe(50)
    expect(retryDelayMs({ ...policy, factor: 1e9 }, 1_000, 1)).toBe(350)
  })

  it('ends after exactly its time', async () => {
    const attempt = failing(2)
    const draws = [0.5, 0.1]
    const { signal } = new AbortController()
    const retrying = follow(
      retry(
        { clock: systemClock, random: () => draws.shift() ?? 0 },
        attempt,
        policy,
        signal,
        () => undefined,
      ),
    )
    await turn()
    expect(attempt).toHaveBeenCalledTimes(1)
    await vi.advanceTimersByTimeAsync(49)
    expect(attempt).toHaveBeenCalledTimes(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(attempt).toHaveBeenCalledTimes(2)
    await vi.advanceTimersByTimeAsync(20)
    expect(retrying.value).toBe('made')
  })

  it('ends at once when the signal aborts, and leaves no timer', async () => {
    const controller = new AbortController()
    const attempt = failing(9)
    const retrying = follow(
      retry({ clock: systemClock, random: () => 1 }, attempt, policy, controller.signal, () => undefined),
    )
    await turn()
    controller.abort(new Error('enough'))
    await turn()
    expect(retrying.error?.message).toBe('enough')
    expect(vi.getTimerCount()).toBe(0)
    expect(attempt).toHaveBeenCalledTimes(1)
  })
})

describe('an initializer with retries', () => {
  it('is called until it succeeds, and every failure is logged', async () => {
    const kit = new ResourceKit()
    const init = failing(2)
    const initialising = follow(kit.init('db', { init }, { retry: policy }))
    await vi.advanceTimersByTimeAsync(300)
    expect(initialising.value).toMatchObject({ name: 'db' })
    expect(init).toHaveBeenCalledTimes(3)
    const warnings = kit.lines.filter(({ level }) => level === 'warn')
    expect(warnings.map(({ fields }) => [fields.resource, fields.failures, fields.attempts])).toEqual([
      ['db', 1, 4],
      ['db', 2, 4],
    ])
    expect(kit.moves).not.toContain('db initializing>error')
  })

  it('fails with its last error when the attempts are used up', async () => {
    const kit = new ResourceKit()
    const init = failing(9)
    const initialising = follow(
      kit.init('db', { init }, { retry: { attempts: 2, minDelayMs: 0, maxDelayMs: 0 } }),
    )
    await vi.advanceTimersByTimeAsync(1)
    expect(initialising.error).toMatchObject({ code: 'ERR_RESOURCE_INIT', cause: new Error('failure 2') })
    expect(initialising.error?.message).toContain('in 2 attempts')
    expect(init).toHaveBeenCalledTimes(2)
  })

  it('is called once by default', async () => {
    const kit = new ResourceKit()
    const init = failing(9)
    await expect(kit.init('db', { init })).rejects.toThrow('failure 1')
    expect(init).toHaveBeenCalledTimes(1)
  })

  it('is abandoned at the overall timeout, in an attempt or between two', async () => {
    const kit = new ResourceKit()
    const hanging = follow(
      kit.init('a', { init: () => new Deferred().promise }, { retry: policy, timeoutMs: 50 }),
    )
    const init = failing(9)
    vi.spyOn(Math, 'random').mockReturnValue(0.99)
    const waiting = follow(kit.init('b', { init }, { retry: policy, timeoutMs: 50 }))
    await vi.advanceTimersByTimeAsync(50)
    for (const { error } of [hanging, waiting]) expect(error?.message).toContain('within 50 ms')
    await vi.advanceTimersByTimeAsync(10_000)
    expect(init).toHaveBeenCalledTimes(1)
    vi.restoreAllMocks()
  })

  it('is called again after the same delays when the random numbers are the same', async () => {
    const first = await attemptTimes(1)
    expect(first).toHaveLength(6)
    expect(await attemptTimes(1)).toEqual(first)
    expect(await attemptTimes(2)).not.toEqual(first)
  })
})

/** Returns the times at which an initializer that always fails is called, with delays drawn from `seed`. */
async function attemptTimes(seed: number): Promise<number[]> {
  const clock = new TestClock()
  const manager = new ResourceLifecycleManager(
    { logger: listLogger([]) },
    { clock, random: seededRandom(seed) },
  )
  const times: number[] = []
  manager.registerResourceType('flaky', () => {
    times.push(clock.now())
    throw new Error('not there')
  })
  const initialising = follow(
    manager.initializeResource({
      name: 'db',
      resourceType: 'flaky',
      retry: { ...policy, attempts: 6 },
      timeoutMs: 0,
    }),
  )
  await clock.advance(6 * policy.maxDelayMs)
  expect(initialising.error?.code).toBe('ERR_RESOURCE_INIT')
  expect(clock.pending).toBe(0)
  return times
}
