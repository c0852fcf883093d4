import { expect, it } from 'vitest'
import type { Program } from './program.js'
import { simulate } from './simulate.js'

const SETTINGS = { replicas: 1, maxQueue: 10, drainTimeoutMs: 1_000, loadTimeoutMs: 500 }

/** The smallest programs that have found a fault, or that reproduce a fault found otherwise. */
const PROGRAMS: Record<string, Omit<Program, 'seed'>> = {
  'a close ends only after requests that wait for a load are rejected': {
    settings: SETTINGS,
    commands: [
      { kind: 'load', model: 'a', version: '1' },
      { kind: 'predict', model: 'a', version: '1' },
    ],
    closeMs: 0,
  },
  'a load whose replicas spend the crash budget before it is complete rejects with that error': {
    settings: { ...SETTINGS, crashBudget: 0 },
    commands: [
      { kind: 'load', model: 'a', version: '1' },
      { kind: 'turns', count: 5 },
      { kind: 'crash', pick: 0 },
      { kind: 'wait', ms: 50 },
    ],
    closeMs: 0,
  },
  'a request that another version of its label completes is counted for that version': {
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
  'a version whose crash budget is spent leaves no timer': {
    settings: { ...SETTINGS, crashBudget: 0, modelIdleMs: 60 },
    models: ['a'],
    commands: [
      { kind: 'crash', pick: 0 },
      { kind: 'turns', count: 1 },
    ],
    closeMs: 0,
  },
  'a version whose crash budget is spent keeps no samples for its artifact': {
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
  'a close ends only after a replica that failed to start has ended or was abandoned': {
    settings: { ...SETTINGS, loadTimeoutMs: 50, crashBudget: 1 },
    models: ['a'],
    commands: [
      { kind: 'loads', fate: 'hangs', count: 1 },
      { kind: 'crash', pick: 0 },
      // The load of its replacement has been abandoned, and the thread is being ended.
      { kind: 'wait', ms: 100 },
    ],
    closeMs: 1_000,
  },
  'a close does not wait for a replica that was abandoned while its pool was ending': {
    settings: { ...SETTINGS, replicas: 2, crashBudget: 0, stuckAfterMs: 200, drainTimeoutMs: 30_000 },
    models: ['a'],
    commands: [
      { kind: 'wait', ms: 100 },
      { kind: 'runs', fate: 'hangs', count: 2 },
      { kind: 'predict', model: 'a', count: 2 },
      { kind: 'turns', count: 5 },
      { kind: 'abort', pick: 0 },
      // The run whose caller has aborted is quarantined first, and then the pool fails.
      { kind: 'wait', ms: 230 },
    ],
    closeMs: 0,
  },
  'a request that waits for an evicted version is served by the first load that completes': {
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
  'a close that comes while a failed startup is undone ends with it, within the budget of a shutdown': {
    settings: { replicas: 1, drainTimeoutMs: 50, loadTimeoutMs: 200, maxConcurrentLoads: 1, stuckAfterMs: 0 },
    models: ['a', 'b'],
    onLoadError: 'throw',
    isHasty: true,
    listeners: [
      {
        event: 'transition',
        nth: 1,
        action: { kind: 'load', model: 'a', version: '3' },
      },
    ],
    commands: [
      { kind: 'sources', fate: 'missing', count: 1 },
      { kind: 'predict', model: 'a', version: '3' },
      { kind: 'runs', fate: 'hangs', count: 1 },
      { kind: 'wait', ms: 39 },
      { kind: 'swap', model: 'a', version: '1' },
    ],
    closeMs: 0,
  },
}
/** Each seed has another order of events and other times, and the fault shows in some of them. */
const SEEDS = 40

it.each(Object.entries(PROGRAMS))('%s', async (_, program) => {
  for (let seed = 0; seed < SEEDS; seed += 1) {
    const { violations } = await simulate({ seed, ...program })
    expect({ seed, violations }).toEqual({ seed, violations: [] })
  }
})
