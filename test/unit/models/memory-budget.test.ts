import { beforeEach, describe, expect, it } from 'vitest'
import { ask, codeOf, errorOf, gated, loadGated, stateOf } from '../../support/runtime-harness.js'
import {
  advance,
  gate,
  machine,
  runtime,
  start,
  useSimulatedRuntime,
} from '../../support/simulated-runtime.js'

useSimulatedRuntime()

const MIB = 2 ** 20

// A load of one replica is expected to take 2 x 48 + 12 = 108 MiB, and takes 60.
beforeEach(() => {
  machine.fileBytes = 48 * MIB
  machine.replicaBytes = 60 * MIB
})

const startWith = (budgetMib: number) => start({ memory: { budgetBytes: budgetMib * MIB } })

const load = (name: string, options: object = {}, config: object = {}) =>
  loadGated(runtime, '1', { name, ...options }, config)

const state = (name: string, version = '1') => stateOf(runtime, name, version)

describe('a memory budget', () => {
  it('lets a load evict the least recently used version, which comes back with its next request', async () => {
    await startWith(250)
    await load('a')
    await advance(1)
    await load('b')
    await advance(1)
    await ask(runtime, 1, '', {}, 'a')
    expect([state('a'), state('b')]).toEqual(['running', 'running'])
    // 130 MiB are left, and 168 are needed.
    await load('c', {}, { replicas: 2 })
    expect([state('a'), state('b'), state('c')]).toEqual(['running', 'stopped', 'running'])
    await ask(runtime, 1, '', {}, 'b')
    expect(state('b')).toBe('running')
  })

  it('rejects a load for which nothing can be evicted, with the bytes that are needed and free', async () => {
    await startWith(140)
    await load('a', {}, { pinned: true })
    const error = await errorOf(load('b'))
    expect(error).toMatchObject({
      code: 'ERR_INSUFFICIENT_MEMORY',
      retryable: true,
      model: 'b',
      version: '1',
      neededBytes: 108 * MIB,
      freeBytes: 80 * MIB,
    })
    // Version 1 of b is not at fault: it is cold.
    expect([state('a'), state('b')]).toEqual(['running', 'stopped'])
    expect(runtime.stats().memory.budget.reservedBytes).toBe(0)
    await runtime.models.unloadModel('a')
    await load('b')
    expect(state('b')).toBe('running')
  })

  it('evicts no version that has a request', async () => {
    await startWith(140)
    const held = gate()
    await load('a', { gate: held })
    const running = ask(runtime, 1, 'hold', {}, 'a')
    await held.arrival('run')
    expect(await codeOf(load('b'))).toBe('ERR_INSUFFICIENT_MEMORY')
    held.open('run')
    await running
    await load('b')
    expect([state('a'), state('b')]).toEqual(['stopped', 'running'])
  })

  it('is kept by loads that begin at the same time, and by those that requests begin', async () => {
    await startWith(140)
    const names = ['a', 'b', 'c']
    const outcomes = await Promise.allSettled(names.map((name) => load(name)))
    const heldBytes = () => machine.alive.length * machine.replicaBytes
    // A load finds the others idle, or still being loaded.
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason.code).toBe('ERR_INSUFFICIENT_MEMORY')
    }
    expect(names.filter((name) => state(name) === 'running')).toHaveLength(1)
    expect(heldBytes()).toBe(60 * MIB)
    const known = names.filter((_, index) => outcomes[index]?.status === 'fulfilled')
    expect(known).not.toEqual([])
    for (const name of known) await ask(runtime, 1, '', {}, name)
    expect(heldBytes()).toBeLessThanOrEqual(140 * MIB)
    expect(runtime.stats().memory.budget.reservedBytes).toBe(0)
  })

  it('rejects a swap without room for both versions, but one that drains the old version first', async () => {
    await startWith(140)
    await load('a', {}, { pinned: true })
    const swap = (config: object) =>
      runtime.models.hotSwapModel({ ...gated({ name: 'a', offset: 1 }, config), newVersion: '2' })
    expect(await codeOf(swap({}))).toBe('ERR_INSUFFICIENT_MEMORY')
    expect(state('a')).toBe('running')
    expect(await ask(runtime, 1, '', {}, 'a')).toBe(1)
    const { from, to, drained } = await swap({ swapStrategy: 'resource-preserving' })
    expect([from, to]).toEqual(['1', '2'])
    expect(await drained).toMatchObject({ version: '1', rejected: 0 })
    expect(state('a', '2')).toBe('running')
    expect(await ask(runtime, 1, '', {}, 'a')).toBe(2)
  })
})
