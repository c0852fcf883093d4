import { describe, expect, it } from 'vitest'
import { errors } from '../../../src/errors/errors.js'
import {
  LIFECYCLE_STATES,
  type LifecycleState,
  StateMachine,
  TRANSITIONS,
  transitionOf,
} from '../../../src/lifecycle/state-machine.js'
import { systemClock } from '../../../src/platform/clock.js'
import type { TransitionEvent } from '../../../src/telemetry/events/event-map.js'
import { modelSubject } from '../../../src/telemetry/events/subject.js'

const subject = modelSubject({ model: 'vad', version: '5' })

/** The transition table of the documentation, written down a second time. */
const legal: Record<LifecycleState, LifecycleState[]> = {
  uninitialized: ['initializing', 'stopped'],
  initializing: ['ready', 'stopping', 'error'],
  ready: ['starting', 'stopping', 'error'],
  starting: ['running', 'stopping', 'error'],
  running: ['ready', 'stopping', 'error'],
  stopping: ['stopped', 'error'],
  stopped: ['initializing'],
  error: ['initializing', 'stopping', 'stopped'],
}

/** Returns the shortest legal path from the initial state. */
function pathTo(target: LifecycleState): LifecycleState[] {
  const paths: LifecycleState[][] = [['uninitialized']]
  for (const path of paths) {
    const last = path.at(-1) as LifecycleState
    if (last === target) return path.slice(1)
    for (const next of legal[last]) if (!path.includes(next)) paths.push([...path, next])
  }
  throw new Error(`${target} cannot be reached`)
}

function machineIn(state: LifecycleState, seen: TransitionEvent[] = []): StateMachine {
  const machine = new StateMachine(systemClock, subject, (event) => seen.push(event))
  for (const step of pathTo(state)) machine.to(step, 'set up')
  seen.length = 0
  return machine
}

const pairs = LIFECYCLE_STATES.flatMap((from) => LIFECYCLE_STATES.map((to) => [from, to] as const))
const allowed = pairs.filter(([from, to]) => legal[from].includes(to))
const forbidden = pairs.filter(([from, to]) => !legal[from].includes(to))

describe('the lifecycle states', () => {
  it('are the eight documented ones, with the documented transitions', () => {
    expect(LIFECYCLE_STATES).toHaveLength(8)
    expect(TRANSITIONS).toEqual(legal)
    expect(allowed.length + forbidden.length).toBe(64)
  })

  it.each(allowed)('%s may be followed by %s', (from, to) => {
    const seen: TransitionEvent[] = []
    const machine = machineIn(from, seen)
    const cause = new Error('why')
    machine.to(to, 'a test', cause)
    expect(machine.state).toBe(to)
    expect(machine.cause).toBe(cause)
    const move = { from, to, trigger: 'a test', cause, at: expect.any(Number) }
    expect(seen).toEqual([{ subject, ...move }])
    expect(seen.map(transitionOf)).toEqual([{ component: 'model vad@5', ...move }])
  })

  it.each(forbidden)('%s may not be followed by %s, and an attempt changes nothing', async (from, to) => {
    const seen: TransitionEvent[] = []
    const machine = machineIn(from, seen)
    let isResolved = false
    if (from !== to) void machine.waitFor(to).then(() => (isResolved = true))
    const cause = new Error('the reason')
    let thrown: unknown
    try {
      machine.to(to, 'a test', cause)
    } catch (error) {
      thrown = error
    }
    expect(thrown).toBeInstanceOf(errors.ERR_ILLEGAL_TRANSITION)
    expect((thrown as Error).message).toContain(`model vad@5 cannot go from ${from} to ${to}`)
    expect((thrown as Error).cause).toBe(cause)
    expect(machine.state).toBe(from)
    expect(machine.cause).toBeUndefined()
    expect(seen).toEqual([])
    await Promise.resolve()
    expect(isResolved).toBe(false)
  })
})

describe('a state machine', () => {
  it('begins uninitialized', () => {
    const machine = new StateMachine(systemClock, subject)
    expect(machine.state).toBe('uninitialized')
    expect(machine.is('ready', 'uninitialized')).toBe(true)
    expect(machine.is('ready')).toBe(false)
    expect(machine.is()).toBe(false)
  })

  it('drops the cause of an earlier transition', () => {
    const machine = machineIn('initializing')
    machine.to('error', 'load', new Error('x'))
    machine.to('initializing', 'again')
    expect(machine.cause).toBeUndefined()
  })

  it('reports a transition without a cause without the key `cause`', () => {
    const seen: TransitionEvent[] = []
    machineIn('uninitialized', seen).to('initializing', 'load')
    expect(seen[0]).not.toHaveProperty('cause')
  })

  it('is already in the new state when listeners are called, which happens before to() returns', () => {
    const machine = machineIn('uninitialized')
    const states: LifecycleState[] = []
    machine.onChange(() => states.push(machine.state))
    machine.to('initializing', 'load')
    expect(states).toEqual(['initializing'])
  })

  it('calls listeners in the order in which they were added, until they are removed', () => {
    const machine = machineIn('uninitialized')
    const calls: string[] = []
    const leave = machine.onChange(({ to }) => calls.push(`first ${to}`))
    machine.onChange(({ to }) => calls.push(`second ${to}`))
    machine.to('initializing', 'load')
    leave()
    leave()
    machine.to('ready', 'load')
    expect(calls).toEqual(['first initializing', 'second initializing', 'second ready'])
  })

  it('lets a listener remove itself while it is called', () => {
    const machine = machineIn('uninitialized')
    const calls: string[] = []
    const leave = machine.onChange(() => {
      calls.push('once')
      leave()
    })
    machine.onChange(() => calls.push('always'))
    machine.to('initializing', 'load')
    machine.to('ready', 'load')
    expect(calls).toEqual(['once', 'always', 'always'])
  })

  it('resolves waitFor at once if it is already in one of the states', async () => {
    await expect(machineIn('running').waitFor('stopped', 'running')).resolves.toBe('running')
  })

  it('resolves every waiter with the first of its states', async () => {
    const machine = machineIn('initializing')
    const waits = [
      machine.waitFor('ready'),
      machine.waitFor('running', 'ready'),
      machine.waitFor('running'),
      machine.waitFor('error', 'running'),
    ]
    machine.to('ready', 'load')
    machine.to('starting', 'load')
    machine.to('running', 'load')
    await expect(Promise.all(waits)).resolves.toEqual(['ready', 'ready', 'running', 'running'])
  })

  it('calls its listeners before a waiter goes on', async () => {
    const machine = machineIn('stopping')
    const order: string[] = []
    const waiting = machine.waitFor('stopped').then(() => order.push('waiter'))
    machine.onChange(() => order.push('listener'))
    machine.to('stopped', 'drain')
    await waiting
    expect(order).toEqual(['listener', 'waiter'])
  })

  it('resolves a waiter even if a listener has moved it on meanwhile', async () => {
    const machine = machineIn('initializing')
    const ready = machine.waitFor('ready')
    const starting = machine.waitFor('starting')
    machine.onChange(({ to }) => {
      if (to === 'ready') machine.to('starting', 'a listener')
    })
    machine.to('ready', 'load')
    await expect(ready).resolves.toBe('ready')
    await expect(starting).resolves.toBe('starting')
    expect(machine.state).toBe('starting')
  })
})
