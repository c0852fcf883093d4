import { describe, expect, it } from 'vitest'
import { LIFECYCLE_STATES } from '../../../../src/lifecycle/state-machine.js'
import {
  type ColdVersion,
  planAfterColdStart,
  planColdStart,
  planReload,
} from '../../../../src/models/rollout/plan-cold-start.js'

const never = { agoMs: undefined, isCrashLoop: false, retryAfterMs: 100 }
const cold: ColdVersion = {
  state: 'stopped',
  isKnown: true,
  hasSuccessor: false,
  isRefused: false,
  failure: never,
}

describe('a request for a cold version', () => {
  it('has it loaded, unless it has a pool by then', () => {
    const kinds = LIFECYCLE_STATES.map((state) => [state, planColdStart({ ...cold, state }).kind])
    expect(Object.fromEntries(kinds)).toEqual({
      uninitialized: 'load',
      initializing: 'load',
      ready: 'serve',
      starting: 'load',
      running: 'serve',
      stopping: 'load',
      stopped: 'load',
      error: 'refuse',
    })
  })

  it('goes to the successor, whatever has become of the version', () => {
    const gone = { ...cold, hasSuccessor: true, isKnown: false, isRefused: true, state: 'error' as const }
    expect(planColdStart(gone)).toEqual({ kind: 'serve' })
  })

  it('is refused after an unload and after a failed swap, even if there is a pool', () => {
    const state = 'running' as const
    const unloaded = planColdStart({ ...cold, state, isKnown: false })
    expect(unloaded).toEqual({ kind: 'refuse', reason: 'it was unloaded' })
    const refused = planColdStart({ ...cold, state, isRefused: true })
    expect(refused).toEqual({ kind: 'refuse', reason: 'the swap to it failed' })
  })
})

describe('a version in error', () => {
  it('is loaded again after a while', () => {
    expect(planReload('error', { ...never, agoMs: 99 }).kind).toBe('refuse')
    expect(planReload('error', { ...never, agoMs: 100 }).kind).toBe('load')
  })

  it('is not if its replicas kept dying, or if no load of it failed', () => {
    expect(planReload('error', { ...never, agoMs: 1_000, isCrashLoop: true }).kind).toBe('refuse')
    expect(planReload('error', never).kind).toBe('refuse')
  })
})

it('a version that was loaded for requests serves, or goes when it is not active and they did not name it', () => {
  expect(planAfterColdStart(true, true)).toBe('promote')
  expect(planAfterColdStart(true, false)).toBe('promote')
  expect(planAfterColdStart(false, true)).toBe('retire')
  expect(planAfterColdStart(false, false)).toBe('stay ready')
})
