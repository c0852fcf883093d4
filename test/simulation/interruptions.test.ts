import { describe, expect, it } from 'vitest'
import type { Action, Command, Interruption, Program } from './program.js'
import { simulate } from './simulate.js'

const LOAD: Command = { kind: 'load', model: 'a', version: '2' }
const SWAP: Command = { kind: 'swap', model: 'a', version: '2' }
const PREDICT: Command = { kind: 'predict', model: 'a', count: 2 }
const OVER: Command = { kind: 'wait', ms: 150 }

/** Short programs, each of one operation, beside a model that serves. */
const PROGRAMS: Record<string, { readonly commands: readonly Command[] } & Partial<Program>> = {
  'the start of a runtime': { commands: [OVER], isHasty: true },
  'a load': { commands: [LOAD, PREDICT, OVER] },
  'a load that fails': { commands: [{ kind: 'loads', fate: 'fails', count: 1 }, LOAD, PREDICT, OVER] },
  'a load of a replica that dies': { commands: [{ kind: 'loads', fate: 'dies', count: 1 }, LOAD, OVER] },
  'a load that hangs': {
    commands: [{ kind: 'loads', fate: 'hangs', count: 1 }, LOAD, { kind: 'wait', ms: 300 }],
  },
  'a load of an artifact': { commands: [{ kind: 'prepares', fate: 'ready', count: 1 }, LOAD, OVER] },
  'a load whose artifact is built later': {
    commands: [
      { kind: 'prepares', fate: 'later', count: 1 },
      { kind: 'load', model: 'b', version: '1' },
      { kind: 'wait', ms: 60 },
      { kind: 'predict', model: 'b', count: 4 },
      OVER,
    ],
  },
  'a load that promotes': { commands: [{ ...LOAD, promote: true } as Command, PREDICT, OVER] },
  'a swap': { commands: [PREDICT, SWAP, PREDICT, OVER] },
  'a swap that drains first': {
    commands: [PREDICT, { ...SWAP, drainsFirst: true } as Command, PREDICT, OVER],
  },
  'a swap that drains first and fails': {
    commands: [
      { kind: 'loads', fate: 'fails', count: 1 },
      { ...SWAP, drainsFirst: true } as Command,
      PREDICT,
      OVER,
    ],
  },
  'a swap that is superseded': {
    commands: [SWAP, { kind: 'swap', model: 'a', version: '3' }, PREDICT, OVER],
  },
  'a swap to and from standby': {
    settings: { replicas: 2, maxQueue: 50, standbyMs: 50, drainTimeoutMs: 1_000, loadTimeoutMs: 500 },
    commands: [SWAP, { kind: 'wait', ms: 100 }, { kind: 'rollback', model: 'a' }, OVER],
  },
  'an eviction and a cold start': {
    commands: [{ kind: 'evict', maxAgeMs: 0 }, PREDICT, { kind: 'wait', ms: 20 }, PREDICT, OVER],
  },
  'an unload': { commands: [PREDICT, { kind: 'unload', model: 'a' }, PREDICT, OVER] },
  'a resize up and down': {
    commands: [
      { kind: 'resize', model: 'a', replicas: 3 },
      { kind: 'wait', ms: 60 },
      { kind: 'resize', model: 'a', replicas: 1 },
      OVER,
    ],
  },
  'a replica that dies in a run': { commands: [{ kind: 'runs', fate: 'dies', count: 1 }, PREDICT, OVER] },
  'a run that hangs': {
    commands: [{ kind: 'runs', fate: 'hangs', count: 1 }, PREDICT, { kind: 'wait', ms: 400 }],
  },
  'an eviction for want of memory': {
    settings: { replicas: 2, maxQueue: 50, drainTimeoutMs: 1_000, loadTimeoutMs: 500, rooms: 1 },
    commands: [{ kind: 'load', model: 'b', version: '1' }, PREDICT, OVER],
  },
  resources: {
    commands: [
      { kind: 'initialize', name: 'db', fate: 'done' },
      { kind: 'initialize', name: 'pool', fate: 'done' },
      { kind: 'wait', ms: 60 },
      { kind: 'acquire', timeoutMs: 100 },
      { kind: 'addHandler', fate: 'fails', timeoutMs: 50 },
      OVER,
    ],
  },
}

const ACTIONS: Record<string, Action> = {
  'a close that waits': { kind: 'close', timeoutMs: 2_000 },
  'a close that does not': { kind: 'close', timeoutMs: 0 },
  'an unload': { kind: 'unload', model: 'a' },
  'a swap': { kind: 'swap', model: 'a', version: '3' },
  'the death of a replica': { kind: 'crash', pick: 0 },
}
const SETTINGS = {
  replicas: 2,
  maxQueue: 50,
  drainTimeoutMs: 1_000,
  loadTimeoutMs: 200,
  stuckAfterMs: 200,
  crashBudget: 2,
}
/** The number of microtasks after an event, before its consequences are complete. */
const MICROTASKS = [0, 2, 5]

const programOf = (name: string, interruption?: Interruption): Program => ({
  seed: 1,
  settings: SETTINGS,
  models: ['a'],
  endsCalmly: true,
  closeMs: 1_000,
  ...PROGRAMS[name],
  commands: PROGRAMS[name]?.commands ?? [],
  interruption,
})

describe.each(Object.keys(PROGRAMS))('%s', (name) => {
  it.each(Object.entries(ACTIONS))('keeps every promise when %s comes at any await', async (_, action) => {
    const { points } = await simulate(programOf(name))
    expect(points).toBeGreaterThan(3)
    for (let point = 1; point <= points; point += 1) {
      for (const microtasks of MICROTASKS) {
        const interruption = { point, microtasks, action }
        const { violations } = await simulate(programOf(name, interruption))
        expect({ interruption, violations }).toEqual({ interruption, violations: [] })
      }
    }
  })
})
