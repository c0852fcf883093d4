import { describe, expect, it } from 'vitest'
import { MemoryBudget, NoRoom, planReservation } from '../../../src/memory/memory-budget.js'
import { estimateBytes } from '../../../src/models/loading/reserve-memory.js'

const nothing = async (): Promise<boolean> => false

/** Returns a budget over a process that holds `held` bytes, and the models that can be evicted. */
function harness(budget: number, held: number, evictable: number[] = []) {
  const process = { held }
  const governor = new MemoryBudget(budget, async () => process.held)
  const makeRoom = async (): Promise<boolean> => {
    const bytes = evictable.shift()
    if (bytes === undefined) return false
    process.held -= bytes
    return true
  }
  return { governor, process, makeRoom, evictable }
}

describe('the memory budget', () => {
  it('reserves what fits, and frees the reservation exactly once', async () => {
    const { governor } = harness(100, 40)
    const first = await governor.reserve(50, nothing)
    expect(governor.stats()).toEqual({ budgetBytes: 100, reservedBytes: 50 })
    const second = await governor.reserve(10, nothing)
    first.release()
    first.release()
    expect(governor.stats().reservedBytes).toBe(10)
    second.release()
    expect(governor.stats().reservedBytes).toBe(0)
  })

  it('lets a load wait for the end of a concurrent load before it evicts anything', async () => {
    const { governor, process, makeRoom, evictable } = harness(100, 40, [10])
    const first = await governor.reserve(50, makeRoom)
    // The load has allocated its reservation, which counts twice while the load runs.
    process.held = 85
    let isReserved = false
    const waiting = governor.reserve(15, makeRoom).then(() => {
      isReserved = true
    })
    await new Promise((resolve) => setImmediate(resolve))
    expect({ isReserved, evictable }).toEqual({ isReserved: false, evictable: [10] })
    first.release()
    await waiting
    expect(evictable).toEqual([10])
  })

  it('refuses at once a load that is larger than the whole budget', async () => {
    const { governor } = harness(100, 40)
    await governor.reserve(50, nothing)
    await expect(governor.reserve(101, nothing)).rejects.toMatchObject({ neededBytes: 101 })
  })

  it('evicts no more than a load needs', async () => {
    const { governor, makeRoom, evictable, process } = harness(100, 90, [20, 30, 40])
    await governor.reserve(50, makeRoom)
    expect(evictable).toEqual([40])
    expect(process.held).toBe(40)
  })

  it('refuses a load that does not fit after all evictions, and names the bytes needed and free', async () => {
    const { governor, makeRoom } = harness(100, 90, [20])
    const refusal = await governor.reserve(80, makeRoom).catch((error) => error)
    expect(refusal).toBeInstanceOf(NoRoom)
    expect(refusal).toMatchObject({ neededBytes: 80, freeBytes: 30 })
    expect(governor.stats().reservedBytes).toBe(0)
    await governor.reserve(30, makeRoom)
  })

  it('never grants the same bytes twice, however many loads reserve at once', async () => {
    const { governor, process } = harness(100, 0)
    let most = 0
    const load = async (): Promise<void> => {
      const room = await governor.reserve(35, nothing)
      most = Math.max(most, governor.stats().reservedBytes)
      await new Promise((resolve) => setImmediate(resolve))
      process.held += 35
      room.release()
    }
    const results = await Promise.allSettled([1, 2, 3, 4].map(load))
    // There is memory for two; the others find it taken.
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'rejected'])
    expect(most).toBe(70)
  })

  it('reports no free bytes, rather than a negative number, when more is held than the budget allows', async () => {
    const { governor } = harness(100, 130)
    await expect(governor.reserve(1, nothing)).rejects.toMatchObject({ freeBytes: 0 })
  })

  it('goes on after a measurement that fails', async () => {
    let isBroken = true
    const governor = new MemoryBudget(100, async () => {
      if (isBroken) throw new Error('no /proc')
      return 0
    })
    await expect(governor.reserve(1, nothing)).rejects.toThrow('no /proc')
    isBroken = false
    await governor.reserve(1, nothing)
  })

  it('without a limit refuses nothing and measures nothing', async () => {
    const governor = new MemoryBudget(0, async () => {
      throw new Error('measured')
    })
    await governor.reserve(2 ** 50, nothing)
  })
})

it('a pool is expected to hold the weights once for each replica, or once in total if they are mapped', () => {
  const weights = 200 * 2 ** 20
  const [one, four] = [1, 4].map((replicas) => estimateBytes(weights, replicas, false)) as [number, number]
  expect(four - one).toBeGreaterThan(3 * weights)
  const [mappedOne, mappedFour] = [1, 4].map((replicas) => estimateBytes(weights, replicas, true)) as [
    number,
    number,
  ]
  expect(mappedFour - mappedOne).toBeLessThan(0.3 * weights)
  expect(mappedFour).toBeLessThan(one)
})

it.each([
  // needed, budget, held, reserved
  [10, 0, 1_000, 1_000, 'grant'],
  [10, 100, 80, 10, 'grant'],
  [11, 100, 80, 10, 'await load'],
  [11, 100, 90, 0, 'make room'],
  [101, 100, 0, 50, 'make room'],
] as const)('%i bytes in a budget of %i with %i held and %i reserved: %4$s', (...row) => {
  const [neededBytes, budgetBytes, heldBytes, reservedBytes, action] = row
  expect(planReservation({ neededBytes, budgetBytes, heldBytes, reservedBytes })).toBe(action)
})
