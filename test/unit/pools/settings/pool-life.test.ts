import { describe, expect, it } from 'vitest'
import { errors } from '../../../../src/errors/errors.js'
import { POOL_TRANSITIONS, PoolLife, type PoolState } from '../../../../src/pools/settings/pool-life.js'

const STATES = Object.keys(POOL_TRANSITIONS) as PoolState[]

/** The operation that moves to each state; none moves back to `created`. */
const MOVES: { readonly [S in PoolState]?: (life: PoolLife) => void } = {
  open: (life) => life.open(),
  draining: (life) => life.drain(),
  failed: (life) => life.fail(new Error('failed')),
  stopped: (life) => life.stop(new Error('stopped')),
}

/** Returns a life in the state `state`. */
function at(state: PoolState): PoolLife {
  const life = new PoolLife('m@1')
  MOVES[state]?.(life)
  return life
}

describe('the life of a pool', () => {
  it('changes its state only as the transition table allows', () => {
    for (const from of STATES) {
      for (const to of STATES) {
        const life = at(from)
        const move = MOVES[to]
        if (POOL_TRANSITIONS[from].includes(to)) {
          move?.(life)
          expect(life.state).toBe(to)
        } else if (move !== undefined) {
          expect(() => move(life)).toThrow(errors.ERR_ILLEGAL_TRANSITION)
          expect(life.state).toBe(from)
        }
      }
    }
  })

  it('names the pool and the legal transitions when it refuses one', () => {
    expect(() => at('draining').open()).toThrow(
      'the pool of m@1 cannot go from draining to open; from draining it can go to failed, stopped',
    )
    expect(() => at('stopped').open()).toThrow('that is final')
  })

  it('refuses unstarted requests with the last reason once the pool has ended', () => {
    const life = at('open')
    expect([life.isOpen, life.isOver, life.refusal]).toEqual([true, false, undefined])
    life.fail(new Error('failed'))
    expect([life.isOpen, life.isOver, life.isStopped, life.refusal?.message]).toEqual([
      false,
      true,
      false,
      'failed',
    ])
    life.stop(new Error('stopped'))
    expect([life.isOver, life.isStopped, life.refusal?.message]).toEqual([true, true, 'stopped'])
  })

  it('resolves `stopped` when the pool is stopped, and not before', async () => {
    const life = at('failed')
    let isStopped = false
    void life.stopped.then(() => {
      isStopped = true
    })
    await Promise.resolve()
    expect(isStopped).toBe(false)
    life.stop(new Error('stopped'))
    await life.stopped
    expect(isStopped).toBe(true)
  })
})
