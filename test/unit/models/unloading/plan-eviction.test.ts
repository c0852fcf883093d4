import { describe, expect, it } from 'vitest'
import { LIFECYCLE_STATES } from '../../../../src/lifecycle/state-machine.js'
import { type MemoryHolder, planIdle, planRoom } from '../../../../src/models/unloading/plan-eviction.js'

const unused: MemoryHolder = {
  model: 'a',
  state: 'running',
  openRequests: 0,
  isPinned: false,
  minReplicas: undefined,
  idleMs: 100,
  isChanging: false,
}

describe('an idle version', () => {
  it('is evicted from its limit on', () => {
    expect(planIdle(unused, 101)).toEqual({ kind: 'keep' })
    expect(planIdle(unused, 100)).toEqual({ kind: 'evict' })
    expect(planIdle(unused, 0)).toEqual({ kind: 'evict' })
  })

  it('stays for good without a limit', () => {
    expect(planIdle(unused, undefined)).toEqual({ kind: 'keep' })
  })

  it('keeps the replicas that it is to keep', () => {
    expect(planIdle({ ...unused, minReplicas: 2 }, 0)).toEqual({ kind: 'shrink', replicas: 2 })
  })

  it.each([{ openRequests: 1 }, { isPinned: true }])('with %j stays', (change) => {
    expect(planIdle({ ...unused, ...change }, 0)).toEqual({ kind: 'keep' })
  })

  it('gives its memory up only where it has a pool that is at rest', () => {
    const evicted = LIFECYCLE_STATES.filter((state) => planIdle({ ...unused, state }, 0).kind === 'evict')
    expect(evicted).toEqual(['ready', 'running'])
  })
})

describe('room for a load', () => {
  it('is waited for while memory comes back anyway', () => {
    expect(planRoom('b', true, [unused])).toEqual({ kind: 'await memory' })
    expect(planRoom('b', true, [])).toEqual({ kind: 'await memory' })
  })

  it('is made by the version that was unused for longest', () => {
    const oldest = { ...unused, idleMs: 300 }
    const holders = [unused, oldest, { ...unused, idleMs: 200 }]
    expect(planRoom('b', false, holders)).toEqual({ kind: 'evict', holder: oldest })
  })

  it.each<Partial<MemoryHolder>>([
    { model: 'b' },
    { state: 'initializing' },
    { openRequests: 1 },
    { isPinned: true },
    { minReplicas: 1 },
    { isChanging: true },
  ])('is not made by one with %j', (change) => {
    expect(planRoom('b', false, [{ ...unused, ...change }])).toEqual({ kind: 'refuse' })
  })
})
