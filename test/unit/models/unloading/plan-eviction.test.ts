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
  it('is evicted once its idle limit is reached', () => {
    expect(planIdle(unused, 101)).toEqual({ kind: 'keep' })
    expect(planIdle(unused, 100)).toEqual({ kind: 'evict' })
    expect(planIdle(unused, 0)).toEqual({ kind: 'evict' })
  })

  it('is never evicted without a limit', () => {
    expect(planIdle(unused, undefined)).toEqual({ kind: 'keep' })
  })

  it('is evicted down to its standby replicas', () => {
    expect(planIdle({ ...unused, minReplicas: 2 }, 0)).toEqual({ kind: 'shrink', replicas: 2 })
  })

  it.each([{ openRequests: 1 }, { isPinned: true }])('with %j is not evicted', (change) => {
    expect(planIdle({ ...unused, ...change }, 0)).toEqual({ kind: 'keep' })
  })

  it('is evicted only in the states ready and running', () => {
    const evicted = LIFECYCLE_STATES.filter((state) => planIdle({ ...unused, state }, 0).kind === 'evict')
    expect(evicted).toEqual(['ready', 'running'])
  })
})

describe('memory for a load', () => {
  it('is waited for while other memory is about to be freed', () => {
    expect(planRoom('b', true, [unused])).toEqual({ kind: 'await memory' })
    expect(planRoom('b', true, [])).toEqual({ kind: 'await memory' })
  })

  it('is freed by evicting the least recently used version', () => {
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
  ])('is not freed by evicting a version with %j', (change) => {
    expect(planRoom('b', false, [{ ...unused, ...change }])).toEqual({ kind: 'refuse' })
  })
})
