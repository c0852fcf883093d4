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
  it('loads the version unless it already has a pool', () => {
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

  it('goes to the successor of the version, whatever the state of the version', () => {
    const gone = { ...cold, hasSuccessor: true, isKnown: false, isRefused: true, state: 'error' as const }
    expect(planColdStart(gone)).toEqual({ kind: 'serve' })
  })

  it('is refused after an unload or a failed swap, even if there is a pool', () => {
    const state = 'running' as const
    const unloaded = planColdStart({ ...cold, state, isKnown: false })
    expect(unloaded).toEqual({ kind: 'refuse', why: 'it was unloaded' })
    const refused = planColdStart({ ...cold, state, isRefused: true })
    expect(refused).toEqual({ kind: 'refuse', why: 'the swap to it failed' })
  })
})

describe('a version in error', () => {
  it('is loaded again after a delay', () => {
    expect(planReload('error', { ...never, agoMs: 99 }).kind).toBe('refuse')
    expect(planReload('error', { ...never, agoMs: 100 }).kind).toBe('load')
  })

  it('is not loaded again if its crash budget is spent or if none of its loads failed', () => {
    expect(planReload('error', { ...never, agoMs: 1_000, isCrashLoop: true }).kind).toBe('refuse')
    expect(planReload('error', never).kind).toBe('refuse')
  })
})

it('a version loaded for requests is promoted if it is active, and otherwise retired unless the requests named it', () => {
  expect(planAfterColdStart(true, true)).toBe('promote')
  expect(planAfterColdStart(true, false)).toBe('promote')
  expect(planAfterColdStart(false, true)).toBe('retire')
  expect(planAfterColdStart(false, false)).toBe('stay ready')
})
