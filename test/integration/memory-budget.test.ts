import { readFileSync } from 'node:fs'
import type { ModelInput, Runtime } from 'tbcoin-engine'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as graphs from '../../models/synthetic/graphs.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { collectGarbage } from '../support/collect-garbage.js'
import { runtime, start } from '../support/gated-runtime.js'
import { codeOf, errorOf, stateOf } from '../support/runtime-harness.js'

const MIB = 2 ** 20
/** A pool of one replica is expected to take 2 x 48 + 12 MiB, and takes about 60. */
const models = tempRepository(
  Object.fromEntries(
    ['a', 'b', 'c'].map((name) => [name, { '1': graphs.bigLoad(48), '2': graphs.bigLoad(48) }]),
  ),
)
afterAll(() => models.dispose())
/** Takes the memory that a process takes once, and gives back what it took to write the models, before a budget is set. */
beforeAll(async () => {
  collectGarbage()
  await start({ artifacts: 'off' })
  await load('a')
  await runtime.predict('a', rows(512))
  await runtime.close()
})

function heldBytes(): number {
  const text = readFileSync('/proc/self/smaps_rollup', 'latin1')
  return Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1]) * 1024
}

function rows(count: number): ModelInput {
  return { x: { type: 'float32', dims: [count, 1024], data: new Float32Array(count * 1024).fill(0.01) } }
}

/** Starts a runtime with a budget that has room for `bytes` more. */
function withRoom(bytes: number): Promise<Runtime> {
  return start({ artifacts: 'off', memory: { budgetBytes: heldBytes() + bytes } })
}

const load = (name: string, config: object = {}) =>
  runtime.models.loadModel({ name, version: '1', source: models.path(name, '1'), config })

describe.runIf(process.platform === 'linux')('a memory budget', () => {
  it('lets a load evict the least recently used version, which comes back with its next request', async () => {
    await withRoom(250 * MIB)
    await load('a')
    await load('b')
    await runtime.predict('a', rows(1))
    expect([stateOf(runtime, 'a', '1'), stateOf(runtime, 'b', '1')]).toEqual(['running', 'running'])
    // About 130 MiB are left, and 168 are needed.
    await load('c', { replicas: 2 })
    expect(stateOf(runtime, 'c', '1')).toBe('running')
    expect(stateOf(runtime, 'b', '1')).toBe('stopped')
    expect(stateOf(runtime, 'a', '1')).toBe('running')
    await runtime.predict('b', rows(1))
    expect(stateOf(runtime, 'b', '1')).toBe('running')
  })

  it('rejects a load for which nothing can be evicted, with the bytes that are needed and free', async () => {
    await withRoom(140 * MIB)
    await load('a', { pinned: true })
    const error = await errorOf(load('b'))
    expect(error).toMatchObject({
      code: 'ERR_INSUFFICIENT_MEMORY',
      retryable: true,
      model: 'b',
      version: '1',
      neededBytes: expect.closeTo(108 * MIB, -6),
      freeBytes: expect.any(Number),
    })
    const { neededBytes, freeBytes } = error as unknown as { neededBytes: number; freeBytes: number }
    expect(freeBytes).toBeLessThan(neededBytes)
    expect(stateOf(runtime, 'a', '1')).toBe('running')
    // Version 1 of b is not at fault: it is cold.
    expect(runtime.models.listModels().find(({ name }) => name === 'b')?.state).toBe('stopped')
    expect(runtime.stats().memory.budget.reservedBytes).toBe(0)
    await runtime.models.unloadModel('a')
    await load('b')
    expect(stateOf(runtime, 'b', '1')).toBe('running')
  })

  it('lets a swap drain the old version first, which gives the memory back that the new one needs', async () => {
    await withRoom(140 * MIB)
    await load('a')
    const swap = { name: 'a', newVersion: '2', source: models.path('a', '2') }
    expect(await codeOf(runtime.models.hotSwapModel(swap))).toBe('ERR_INSUFFICIENT_MEMORY')
    expect(stateOf(runtime, 'a', '1')).toBe('running')
    const config = { swapStrategy: 'resource-preserving' as const, artifacts: 'off' as const }
    const { from, to, drained } = await runtime.models.hotSwapModel({ ...swap, config })
    expect([from, to]).toEqual(['1', '2'])
    expect(await drained).toMatchObject({ version: '1', rejected: 0 })
    expect(stateOf(runtime, 'a', '2')).toBe('running')
  })
})
