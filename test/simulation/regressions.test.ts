import { expect, it } from 'vitest'
import type { Program } from './program.js'
import { simulate } from './simulate.js'

const SETTINGS = { replicas: 1, maxQueue: 10, drainTimeoutMs: 1_000, loadTimeoutMs: 500 }

/** The smallest programs that have found a fault, or stand for one that was found otherwise. */
const PROGRAMS: Record<string, Omit<Program, 'seed'>> = {
  'a close does not end before requests that wait for a load are rejected': {
    settings: SETTINGS,
    commands: [
      { kind: 'load', model: 'a', version: '1' },
      { kind: 'predict', model: 'a', version: '1' },
    ],
    closeMs: 0,
  },
  'a load whose replicas die too often, before it is over, rejects with that': {
    settings: { ...SETTINGS, crashBudget: 0 },
    commands: [
      { kind: 'load', model: 'a', version: '1' },
      { kind: 'turns', count: 5 },
      { kind: 'crash', pick: 0 },
      { kind: 'wait', ms: 50 },
    ],
    closeMs: 0,
  },
  'a request that another version of its label answers is counted there': {
    settings: { ...SETTINGS, replicas: 2, rooms: 1 },
    commands: [
      { kind: 'load', model: 'a', version: '3' },
      { kind: 'load', model: 'a', version: '1' },
      { kind: 'wait', ms: 78 },
      { kind: 'swap', model: 'a', version: '1' },
      { kind: 'load', model: 'a', version: '1' },
      { kind: 'predict', model: 'a', version: '1' },
      { kind: 'swap', model: 'a', version: '1' },
      { kind: 'evict', maxAgeMs: 0 },
      ...Array.from({ length: 60 }, () => ({ kind: 'turns', count: 1 }) as const),
    ],
    closeMs: 0,
  },
  'a version whose replicas die too often leaves no timer': {
    settings: { ...SETTINGS, crashBudget: 0, modelIdleMs: 60 },
    models: ['a'],
    commands: [
      { kind: 'crash', pick: 0 },
      { kind: 'turns', count: 1 },
    ],
    closeMs: 0,
  },
  'a version whose replicas die too often keeps no inputs for its artifact': {
    settings: { ...SETTINGS, crashBudget: 0 },
    commands: [
      { kind: 'prepares', fate: 'later', count: 1 },
      { kind: 'load', model: 'a', version: '1' },
      { kind: 'wait', ms: 90 },
      { kind: 'predict', model: 'a' },
      { kind: 'wait', ms: 15 },
      { kind: 'crash', pick: 0 },
      { kind: 'wait', ms: 0 },
      { kind: 'turns', count: 1 },
    ],
    closeMs: 0,
  },
  'a close is not over before a replica that could not be started has ended, or is given up': {
    settings: { ...SETTINGS, loadTimeoutMs: 50, crashBudget: 1 },
    models: ['a'],
    commands: [
      { kind: 'loads', fate: 'hangs', count: 1 },
      { kind: 'crash', pick: 0 },
      // The load of its replacement has been given up, and the thread is being ended.
      { kind: 'wait', ms: 100 },
    ],
    closeMs: 1_000,
  },
  'a close waits for no replica that was given up while its pool was being ended': {
    settings: { ...SETTINGS, replicas: 2, crashBudget: 0, stuckAfterMs: 200, drainTimeoutMs: 30_000 },
    models: ['a'],
    commands: [
      { kind: 'wait', ms: 100 },
      { kind: 'runs', fate: 'hangs', count: 2 },
      { kind: 'predict', model: 'a', count: 2 },
      { kind: 'turns', count: 5 },
      { kind: 'abort', pick: 0 },
      // The run whose caller has left is given up first, and with it the pool.
      { kind: 'wait', ms: 230 },
    ],
    closeMs: 0,
  },
  'a request that waits for an evicted version is answered by the load of it that came first': {
    settings: SETTINGS,
    models: ['a'],
    commands: [
      { kind: 'evict', maxAgeMs: 0 },
      { kind: 'wait', ms: 100 },
      { kind: 'load', model: 'a', version: '1' },
      { kind: 'predict', model: 'a', pace: 0 },
      { kind: 'wait', ms: 100 },
    ],
    endsCalmly: true,
    closeMs: 1_000,
  },
}
/** Another seed is another order of things and other times; in some of them the fault shows. */
const SEEDS = 40

it.each(Object.entries(PROGRAMS))('%s', async (_, program) => {
  for (let seed = 0; seed < SEEDS; seed += 1) {
    const { violations } = await simulate({ seed, ...program })
    expect({ seed, violations }).toEqual({ seed, violations: [] })
  }
})
