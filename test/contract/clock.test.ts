import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { type Clock, systemClock } from '../../src/platform/clock.js'
import { TestClock } from '../../src/testing/test-clock.js'
import { Random } from '../simulation/random.js'
import { SimulatedClock } from '../simulation/simulated-clock.js'

/** Lets time pass until `isOver()`. */
type Pass = (isOver: () => boolean) => Promise<void>

const standing = new TestClock()
const simulated = new SimulatedClock(new Random(1))
const clocks: [string, Clock, Pass][] = [
  [
    'the system clock',
    systemClock,
    async (isOver) => {
      while (!isOver()) await nextTurn()
    },
  ],
  [
    'the test clock',
    standing,
    async (isOver) => {
      while (!isOver()) await standing.advance(1)
    },
  ],
  [
    'the simulated clock',
    simulated,
    async (isOver) => {
      while (!isOver()) await simulated.advance(1)
    },
  ],
]

describe.each(clocks)('%s', (_, clock, pass) => {
  it('goes on, by both of its readings', async () => {
    const [now, epoch] = [clock.now(), clock.epoch()]
    await pass(() => clock.now() >= now + 5)
    expect(clock.epoch()).toBeGreaterThan(epoch)
    expect(Math.abs(clock.originMs + clock.now() - clock.epoch())).toBeLessThan(1_000)
  })

  it('runs a timer once, when its time has come', async () => {
    const startedAtMs = clock.now()
    const ranAtMs: number[] = []
    clock.setTimeout(() => ranAtMs.push(clock.now()), 10)
    await pass(() => clock.now() >= startedAtMs + 40 && ranAtMs.length > 0)
    expect(ranAtMs).toHaveLength(1)
    // Node counts time in whole milliseconds.
    expect((ranAtMs[0] as number) - startedAtMs).toBeGreaterThanOrEqual(9)
  })

  it('runs timers of the same length in the order in which they were set', async () => {
    const order: number[] = []
    for (const each of [1, 2, 3]) clock.setTimeout(() => order.push(each), 5)
    await pass(() => order.length === 3)
    expect(order).toEqual([1, 2, 3])
  })

  it('runs a shorter timer first, and what one sets in its turn', async () => {
    const order: string[] = []
    clock.setTimeout(() => order.push('late'), 60)
    clock.setTimeout(() => {
      order.push('early')
      clock.setTimeout(() => order.push('between'), 5)
    }, 5)
    await pass(() => order.length === 3)
    expect(order).toEqual(['early', 'between', 'late'])
  })

  it('repeats an interval until it is cleared', async () => {
    let count = 0
    const timer = clock.setInterval(() => {
      count += 1
      if (count === 3) clock.clear(timer)
    }, 2)
    await pass(() => count === 3)
    const clearedAtMs = clock.now()
    await pass(() => clock.now() >= clearedAtMs + 10)
    expect(count).toBe(3)
  })

  it('runs nothing that was cleared before, and takes a clear of nothing', async () => {
    let hasRun = false
    const timer = clock.setTimeout(() => {
      hasRun = true
    }, 1)
    clock.clear(timer.unref())
    clock.clear(timer)
    clock.clear(undefined)
    const clearedAtMs = clock.now()
    await pass(() => clock.now() >= clearedAtMs + 10)
    expect(hasRun).toBe(false)
  })

  it('runs what is for the next tick after this code, and before what is for later', async () => {
    const order: string[] = []
    clock.setImmediate(() => order.push('immediate'))
    clock.nextTick(() => order.push('tick'))
    order.push('code')
    await pass(() => order.length === 3)
    expect(order).toEqual(['code', 'tick', 'immediate'])
  })
})

describe('the test clock', () => {
  it('stands still by itself, and tells what is pending', async () => {
    const clock = new TestClock()
    const ran: number[] = []
    clock.setTimeout(() => ran.push(clock.now()), 1_000)
    await clock.settle()
    expect([clock.now(), clock.pending, ran]).toEqual([0, 1, []])
    await clock.advance(1_000)
    expect([clock.now(), clock.pending, ran]).toEqual([1_000, 0, [1_000]])
  })

  it('lets what a timer leads to be over before the next timer runs', async () => {
    const clock = new TestClock()
    const order: string[] = []
    clock.setTimeout(async () => {
      await Promise.resolve()
      clock.nextTick(() => order.push('led to'))
    }, 5)
    clock.setTimeout(() => order.push('next'), 5)
    await clock.advance(5)
    expect(order).toEqual(['led to', 'next'])
  })
})
