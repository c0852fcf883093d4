import { AsyncLocalStorage } from 'node:async_hooks'
import type { Runtime, RuntimeOptions } from 'tbcoin-engine'
import { afterEach, describe, expect, it } from 'vitest'
import { Gate } from '../support/load-gate.js'
import { ask, codeOf, gated, loadGated, quietRuntime, settle } from '../support/runtime-harness.js'
import { testLogger } from '../support/test-logger.js'

const store = new AsyncLocalStorage<string>()
let runtime: Runtime
let seen: string[] = []
const gates: Gate[] = []

/** Notes the context in which each event is emitted and each line logged. */
function note(what: string): void {
  seen.push(`${what}: ${store.getStore() ?? 'none'}`)
}

async function start(options: RuntimeOptions = {}): Promise<Runtime> {
  runtime = await quietRuntime({ logger: testLogger(() => note('log')), restartBackoffMs: 1, ...options })
  for (const event of ['transition', 'promoted', 'replicaExited', 'replicaStuck', 'closed'] as const) {
    runtime.on(event, () => note(event))
  }
  return runtime
}

/** Fails if something was noted in the context of a caller. */
function expectNoContext(): void {
  expect(seen.length).toBeGreaterThan(0)
  expect(seen.filter((line) => !line.endsWith(': none'))).toEqual([])
  seen = []
}

afterEach(async () => {
  for (const gate of gates.splice(0)) gate.openForGood()
  await runtime.close()
  seen = []
})

describe("a caller's context", () => {
  it('is kept for the code that awaits `predict`', async () => {
    await start()
    await loadGated(runtime, '1')
    const names = await Promise.all(
      ['a', 'b', 'c'].map((name) =>
        store.run(name, async () => {
          await ask(runtime, 1)
          return store.getStore()
        }),
      ),
    )
    expect(names).toEqual(['a', 'b', 'c'])
  })

  it('does not reach the load that its request causes, nor the events and log lines', async () => {
    await start()
    await loadGated(runtime, '1')
    await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
    seen = []
    await store.run('caller', async () => {
      expect(await ask(runtime, 1)).toBe(1)
      expect(store.getStore()).toBe('caller')
    })
    expectNoContext()
  })

  it('does not reach the changes that the caller requests', async () => {
    await start()
    await store.run('caller', async () => {
      const handle = await loadGated(runtime, '1')
      await handle.resize(3)
      await handle.resize(1)
      const swap = await runtime.models.hotSwapModel({ ...gated(), newVersion: '2' })
      await swap.drained
      await (await runtime.models.rollback('gated')).drained
      await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
      await runtime.models.unloadModel('gated')
      expect(store.getStore()).toBe('caller')
    })
    expectNoContext()
  })

  it('does not reach the replacement of a thread that died in its request', async () => {
    await start()
    await loadGated(runtime, '1')
    seen = []
    const exited = new Promise((resolve) => runtime.once('replicaExited', resolve))
    expect(await store.run('caller', () => codeOf(ask(runtime, 1, 'exit')))).toBe('ERR_REPLICA_EXITED')
    await exited
    await store.run('other', () => ask(runtime, 1))
    expectNoContext()
  })

  it('does not reach a quarantine', async () => {
    await start({ stuckAfterMs: 30 })
    const gate = new Gate()
    gates.push(gate)
    await loadGated(runtime, '1', { gate })
    seen = []
    await store.run('caller', () => codeOf(ask(runtime, 1, 'hold')))
    await settle()
    expectNoContext()
  })

  it('does not reach the end of a crash loop', async () => {
    await start({ crashBudget: 0 })
    await loadGated(runtime, '1')
    seen = []
    await store.run('caller', () => codeOf(ask(runtime, 1, 'exit')))
    await settle()
    expectNoContext()
  })

  it('does not reach a close, neither from its caller nor from the request that it waits for', async () => {
    await start()
    const gate = new Gate()
    gates.push(gate)
    await loadGated(runtime, '1', { gate })
    seen = []
    const running = store.run('caller', () => ask(runtime, 1, 'hold'))
    await gate.arrival('run')
    const closing = store.run('closer', () => runtime.close())
    gate.openForGood()
    expect(await running).toBe(1)
    await closing
    expectNoContext()
  })

  it('does not reach the request that runs after its own', async () => {
    await start()
    const gate = new Gate()
    gates.push(gate)
    await loadGated(runtime, '1', { gate })
    const first = store.run('first', () => ask(runtime, 1, 'hold'))
    const second = store.run('second', () => ask(runtime, 2).then((y) => `${store.getStore()} got ${y}`))
    await gate.arrival('run')
    gate.open('run')
    expect(await first).toBe(1)
    expect(await second).toBe('second got 2')
  })
})
