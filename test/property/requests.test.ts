import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { errors } from '../../src/errors/errors.js'
import type { RequestHandle } from '../../src/requests/request-handle.js'
import {
  isOver,
  REQUEST_STATES,
  REQUEST_TRANSITIONS,
  type RequestState,
} from '../../src/requests/request-states.js'
import { RequestTracker } from '../../src/requests/request-tracker.js'

type Move =
  | { readonly kind: 'begin'; readonly inside: number | undefined }
  | { readonly kind: 'to'; readonly pick: number; readonly state: Exclude<RequestState, 'received'> }
  | { readonly kind: 'fail'; readonly pick: number; readonly error: Error }
  | { readonly kind: 'dispose'; readonly pick: number }
  | { readonly kind: 'listen' }
  | { readonly kind: 'deafen' }

const pick = fc.nat(30)
const states = REQUEST_STATES.filter((state) => state !== 'received')
const thrown = fc.constantFrom(
  new errors.ERR_ABORTED('x'),
  new errors.ERR_DEADLINE_EXCEEDED('x'),
  new errors.ERR_OVERLOADED('x'),
  new Error('x'),
)
const moves: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('begin' as const),
      inside: fc.option(pick, { nil: undefined }),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({ kind: fc.constant('to' as const), pick, state: fc.constantFrom(...states) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('fail' as const), pick, error: thrown }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('dispose' as const), pick }) },
  { weight: 1, arbitrary: fc.constantFrom<Move>({ kind: 'listen' }, { kind: 'deafen' }) },
)

/** The expected state of a request, beside its actual state. */
interface Expected {
  readonly handle: RequestHandle
  readonly parent: number | undefined
  state: RequestState
}

class Model {
  readonly all: Expected[] = []
  readonly ended: Expected[] = []
  readonly entered = new Map<RequestState, number>()
  heard = 0
  missed = 0
  readonly #tracker: RequestTracker
  readonly #listener = (): void => {
    this.heard += 1
  }
  #isHeard = false

  constructor(tracker: RequestTracker) {
    this.#tracker = tracker
  }

  apply(move: Move): void {
    if (move.kind === 'listen' && !this.#isHeard) this.#tracker.on('settled', this.#listener)
    if (move.kind === 'deafen') this.#tracker.off('settled', this.#listener)
    if (move.kind === 'listen' || move.kind === 'deafen') this.#isHeard = move.kind === 'listen'
    else if (move.kind === 'begin') this.#begin(move.inside)
    else if (this.all.length > 0) this.#change(this.all[move.pick % this.all.length] as Expected, move)
  }

  #begin(inside: number | undefined): void {
    const outer = inside === undefined ? undefined : this.all[inside % Math.max(1, this.all.length)]
    if (outer === undefined || !REQUEST_TRANSITIONS[outer.state].includes('running')) {
      this.all.push({ handle: this.#tracker.begin('a'), parent: undefined, state: 'received' })
    } else {
      const handle = outer.handle.run(() => this.#tracker.begin('a'))
      this.#enter(outer, 'running')
      this.all.push({ handle, parent: outer.handle.id, state: 'received' })
    }
    this.#count('received')
  }

  #change(one: Expected, move: Exclude<Move, { kind: 'begin' | 'listen' | 'deafen' }>): void {
    const { handle } = one
    const legal = REQUEST_TRANSITIONS[one.state]
    if (move.kind === 'dispose') {
      handle[Symbol.dispose]()
      if (legal.length > 0) this.#enter(one, 'failed')
      return
    }
    const change = (): void => (move.kind === 'to' ? handle.to(move.state) : handle.fail(move.error))
    if (legal.length === 0 || (move.kind === 'to' && !legal.includes(move.state))) {
      expect(change).toThrow(errors.ERR_ILLEGAL_TRANSITION)
    } else {
      change()
      this.#enter(one, handle.state)
    }
  }

  #enter(one: Expected, state: RequestState): void {
    expect(REQUEST_TRANSITIONS[one.state]).toContain(state)
    one.state = state
    this.#count(state)
    if (!isOver(state)) return
    this.ended.unshift(one)
    if (!this.#isHeard) this.missed += 1
  }

  #count(state: RequestState): void {
    this.entered.set(state, (this.entered.get(state) ?? 0) + 1)
  }
}

describe('the counts of a tracker', () => {
  it('balance after every transition, in any order of events', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 6 }), fc.array(moves, { maxLength: 80 }), (recent, script) => {
        const tracker = new RequestTracker({ recent })
        const model = new Model(tracker)
        for (const move of script) {
          model.apply(move)
          const { totals, active } = tracker.counts()
          const open = model.all.filter(({ state }) => !isOver(state))
          for (const { handle, state } of model.all) expect(handle.state).toBe(state)
          for (const state of REQUEST_STATES) expect(totals[state]).toBe(model.entered.get(state) ?? 0)
          // Every request that began is open or has ended.
          expect(totals.received).toBe(open.length + model.ended.length)
          expect(active.received + active.queued + active.running).toBe(open.length)
          expect(tracker.active().map(({ id, state, parent }) => [id, state, parent])).toEqual(
            open.map(({ handle, state, parent }) => [handle.id, state, parent]),
          )
          expect(tracker.recent().map(({ id, state }) => [id, state])).toEqual(
            model.ended.slice(0, recent).map(({ handle, state }) => [handle.id, state]),
          )
          expect(model.heard).toBe(model.ended.length - model.missed)
        }
      }),
      { numRuns: 300 },
    )
  }, 60_000)
})
