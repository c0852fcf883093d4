import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LIFECYCLE_STATES } from '../../../../src/lifecycle/state-machine.js'
import {
  planSwap,
  planSwapUndo,
  type SwapSnapshot,
  type SwapStep,
  type SwapUndo,
} from '../../../../src/models/rollout/plan-swap.js'

/** The snapshot of a swap from 1 to 2 that has not begun. */
const begin: SwapSnapshot = {
  isClosing: false,
  isSuperseded: false,
  newVersion: '2',
  expected: undefined,
  active: '1',
  isReload: false,
  next: undefined,
  strategy: 'parallel',
  begun: new Set(),
}

/** Returns the steps of a swap that succeeds, and the state of the new version after each. */
function stepsOf(from: Partial<SwapSnapshot>, found: SwapSnapshot['next']): SwapStep[] {
  let swap = { ...begin, ...from }
  const steps: SwapStep[] = []
  for (;;) {
    const action = planSwap(swap)
    if ('refusal' in action) throw new Error(action.refusal)
    const { step } = action
    steps.push(step)
    if (step === 'flip') return steps
    swap = { ...swap, begun: new Set(steps) }
    if (step === 'find') swap = { ...swap, next: found }
    if (step === 'load') swap = { ...swap, next: 'ready' }
    if (step === 'vacate') swap = { ...swap, active: swap.newVersion }
  }
}

describe('a swap plan', () => {
  it('loads the new version beside the old one', () => {
    expect(stepsOf({}, 'uninitialized')).toEqual(['find', 'load', 'verify', 'await replicas', 'flip'])
    expect(stepsOf({}, 'error')).toEqual(['find', 'load', 'verify', 'await replicas', 'flip'])
  })

  it('drains the old version first if the strategy never holds both versions', () => {
    const strategy = 'resource-preserving'
    expect(stepsOf({ strategy }, 'stopped')).toEqual(['find', 'vacate', 'load', 'verify', 'flip'])
  })

  it.each(['parallel', 'resource-preserving'] as const)(
    '(%s) skips the load of a version that is ready',
    (strategy) => {
      expect(stepsOf({ strategy }, 'ready')).toEqual(['find', 'verify', 'await replicas', 'flip'])
    },
  )

  it.each(['parallel', 'resource-preserving'] as const)(
    '(%s) skips the drain when no version is active',
    (strategy) => {
      const steps = ['find', 'load', 'verify', 'await replicas', 'flip']
      expect(stepsOf({ strategy, active: undefined }, 'uninitialized')).toEqual(steps)
    },
  )

  it('loads a failed version again in its own place', () => {
    const steps = ['find', 'load', 'verify', 'await replicas', 'flip']
    const reload = { active: '2', isReload: true, strategy: 'resource-preserving' as const }
    expect(stepsOf(reload, 'uninitialized')).toEqual(steps)
  })

  it.each([
    [{ isSuperseded: true }, 'superseded'],
    [{ isClosing: true }, 'closing'],
    [{ active: '2' }, 'already active'],
    [{ expected: '0' }, 'version conflict'],
    [{ expected: '1', active: undefined }, 'version conflict'],
  ] as const)('with %j refuses the swap at every step before the requests move', (change, refusal) => {
    const order: SwapStep[] = ['find', 'load', 'verify', 'await replicas']
    for (let count = 0; count <= order.length; count += 1) {
      const begun = new Set(order.slice(0, count))
      const next = count === 0 ? undefined : count === 1 ? 'uninitialized' : 'ready'
      expect(planSwap({ ...begin, begun, next, ...change })).toEqual({ refusal })
    }
  })

  it('abandons a swap whose requests have moved only when the runtime closes', () => {
    const moved: SwapSnapshot = {
      ...begin,
      strategy: 'resource-preserving',
      active: '2',
      next: 'stopped',
      begun: new Set<SwapStep>(['find', 'vacate']),
    }
    expect(planSwap({ ...moved, isSuperseded: true, expected: '1' })).toEqual({ step: 'load' })
    expect(planSwap({ ...moved, isClosing: true })).toEqual({ refusal: 'closing' })
  })

  it('loads once, and refuses a version that was stopped after that load', () => {
    const begun = new Set<SwapStep>(['find', 'load', 'verify', 'await replicas'])
    for (const next of ['stopping', 'stopped', 'error'] as const) {
      expect(planSwap({ ...begin, begun, next })).toEqual({ refusal: 'stopped meanwhile' })
    }
  })

  it('does not load a version that was ready and then stopped', () => {
    const begun = new Set<SwapStep>(['find', 'verify', 'await replicas'])
    expect(planSwap({ ...begin, begun, next: 'stopped' })).toEqual({ refusal: 'stopped meanwhile' })
  })

  it('ends from every snapshot without repeating a step', () => {
    const arbitrary = fc.record({
      isReload: fc.boolean(),
      expected: fc.constantFrom(undefined, '1', '2'),
      active: fc.constantFrom(undefined, '1', '2'),
      strategy: fc.constantFrom('parallel' as const, 'resource-preserving' as const),
    })
    const states = fc.array(fc.constantFrom(...LIFECYCLE_STATES), { minLength: 8, maxLength: 8 })
    fc.assert(
      fc.property(arbitrary, states, (from, nexts) => {
        const begun = new Set<SwapStep>()
        for (const next of nexts) {
          const action = planSwap({ ...begin, ...from, next, begun })
          if ('refusal' in action || action.step === 'flip') return
          expect(begun.has(action.step)).toBe(false)
          begun.add(action.step)
        }
        throw new Error('it has not ended')
      }),
    )
  })
})

/** Returns the steps that undo a swap, if each step has its effect. */
function undoOf(
  begun: SwapStep[],
  next: 'ready' | 'error',
  old: 'running' | 'stopped',
  isClosing = false,
): SwapUndo[] {
  const undone: SwapUndo[] = []
  for (;;) {
    const undo = planSwapUndo({ isClosing, next, old, begun: new Set(begun), undone: new Set(undone) })
    if (undo === undefined) return undone
    undone.push(undo)
  }
}

describe('the undo plan of a failed swap', () => {
  it('stops only the version that the swap has loaded', () => {
    expect(undoOf(['find', 'load', 'verify'], 'ready', 'running')).toEqual(['retire'])
    expect(undoOf(['find', 'load'], 'error', 'running')).toEqual([])
    expect(undoOf(['find', 'verify'], 'ready', 'running')).toEqual([])
  })

  it('gives the requests back first and loads the old version last', () => {
    const begun: SwapStep[] = ['find', 'vacate', 'load', 'verify']
    expect(undoOf(begun, 'ready', 'stopped')).toEqual(['reroute', 'retire', 'reload'])
    expect(undoOf(begun, 'error', 'stopped')).toEqual(['reroute', 'reload'])
  })

  it('loads nothing while the runtime is closing', () => {
    expect(undoOf(['find', 'vacate', 'load'], 'error', 'stopped', true)).toEqual(['reroute'])
  })
})
