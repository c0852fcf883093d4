import { afterEach, describe, expect, it } from 'vitest'
import { gate, runtime, start } from '../support/gated-runtime.js'
import type { Gate } from '../support/load-gate.js'
import { guardSlots } from '../support/process-parts.js'
import { ask, codeOf, type GatedConfig, loadGated } from '../support/runtime-harness.js'

// Threads of a custom loader take turns according to their providers, even without a GPU.
const executionProviders = ['webgpu']

afterEach(() => expect(waiting()).toBe(0))

/** Returns the number of threads of this process that wait for their turn. */
function waiting(): number {
  return [...guardSlots()].filter((slot) => slot.isWaiting).length
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setImmediate(resolve))
}

/** Loads models `a` and `b`, whose threads take turns. */
async function pair(config: GatedConfig = {}): Promise<Gate> {
  await start()
  const held = gate()
  for (const name of ['a', 'b']) {
    await loadGated(runtime, '1', { gate: held, name }, { executionProviders, ...config })
  }
  return held
}

const hold = (name: string): Promise<number> => ask(runtime, 1, 'hold', undefined, name)

describe('replicas on a provider that runs one at a time', () => {
  it('wait for each other, and answer control requests meanwhile', async () => {
    const held = await pair()
    const first = hold('a')
    await held.arrival('run')
    const second = hold('b')
    await until(() => waiting() === 1)
    const [report] = (await runtime.models.getModel('b')?.replicas()) ?? []
    expect(report?.description).toMatchObject({ model: 'b' })
    expect(held.arrived('run')).toBe(1)
    held.open('run')
    expect(await first).toBe(1)
    await held.arrival('run', 2)
    held.open('run')
    expect(await second).toBe(1)
  })

  it('do not delay replicas on the CPU', async () => {
    const held = await pair()
    await loadGated(runtime, '1', { gate: held, name: 'cpu' }, { executionProviders: ['cpu'] })
    const first = hold('a')
    await held.arrival('run')
    const second = hold('cpu')
    await held.arrival('run', 2)
    held.open('run', 2)
    expect(await Promise.all([first, second])).toEqual([1, 1])
  })

  it('take turns with replicas of another runtime', async () => {
    const held = await pair()
    const first = hold('a')
    await held.arrival('run')
    const { createRuntime } = await import('tbcoin-engine')
    await using other = await createRuntime({ logLevel: 'silent', replicas: 1 })
    await loadGated(other, '1', { gate: held, name: 'c' }, { executionProviders })
    const second = ask(other, 1, 'hold', undefined, 'c')
    await until(() => waiting() === 1)
    held.open('run', 2)
    expect(await Promise.all([first, second])).toEqual([1, 1])
  })

  it('go on when one of them dies during its turn', async () => {
    await pair()
    const dying = codeOf(ask(runtime, 1, 'exit-inside', undefined, 'a'))
    const others = Array.from({ length: 20 }, () => ask(runtime, 1, '', undefined, 'b'))
    expect(await dying).toBe('ERR_REPLICA_EXITED')
    expect(await Promise.all(others)).toEqual(others.map(() => 1))
    expect(await ask(runtime, 2, '', undefined, 'a')).toBe(2)
  })

  it('go on when one of them is ended while it waits', async () => {
    const held = await pair({ drainTimeoutMs: 1 })
    const first = hold('a')
    await held.arrival('run')
    const second = codeOf(hold('b'))
    await until(() => waiting() === 1)
    await runtime.models.unloadModel('b')
    expect(await second).toBe('ERR_DRAIN_TIMEOUT')
    await until(() => waiting() === 0)
    held.open('run', 2)
    expect(await first).toBe(1)
    expect(await hold('a')).toBe(1)
  })

  it('reject requests while one is quarantined during its turn, and serve them once that is over', async () => {
    const held = await pair({ stuckAfterMs: 100 })
    const first = codeOf(hold('a'))
    await held.arrival('run')
    const second = codeOf(ask(runtime, 1, 'hold', undefined, 'b'))
    expect(await first).toBe('ERR_REPLICA_STUCK')
    expect(await second).toBe('ERR_MODEL_UNAVAILABLE')
    expect(await codeOf(hold('b'))).toBe('ERR_MODEL_UNAVAILABLE')
    held.openForGood()
    await until(() => runtime.models.getModel('a')?.stats().pool?.quarantined === 0)
    expect(await hold('b')).toBe(1)
    expect(await hold('a')).toBe(1)
  })
})
