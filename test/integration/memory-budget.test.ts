import { readFileSync } from 'node:fs'
import type { ModelHandle, ModelInput, Runtime } from 'tbcoin-engine'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as graphs from '../../models/synthetic/graphs.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { collectGarbage } from '../support/collect-garbage.js'
import { runtime, start } from '../support/gated-runtime.js'
import { codeOf, errorOf, inState, movesOf, stateOf } from '../support/runtime-harness.js'

const MIB = 2 ** 20
/** A pool of one replica is expected to take 2 x 48 + 12 MiB, and takes about 60. */
const models = tempRepository(
  Object.fromEntries(
    ['a', 'b', 'c'].map((name) => [name, { '1': graphs.bigLoad(48), '2': graphs.bigLoad(48) }]),
  ),
)
afterAll(() => models.dispose())
/** What is only ever taken once shall not be taken from a budget, nor what this file left behind as it wrote the models. */
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

/** With a budget that has room for `bytes` more. */
async function withRoom(bytes: number, options: object = {}): Promise<Runtime> {
  return start({ artifacts: 'off', memory: { budgetBytes: heldBytes() + bytes }, ...options })
}

const load = (name: string, version = '1', config: object = {}) =>
  runtime.models.loadModel({ name, version, source: models.path(name, version), config })

describe.runIf(process.platform === 'linux')('a memory budget', () => {
  it('has what nobody uses evicted for a load, the least recently used first', async () => {
    await withRoom(250 * MIB)
    await load('a')
    await load('b')
    await runtime.predict('a', rows(1))
    expect([stateOf(runtime, 'a', '1'), stateOf(runtime, 'b', '1')]).toEqual(['running', 'running'])
    // About 130 MiB are left, and 168 are needed.
    await load('c', '1', { replicas: 2 })
    expect(stateOf(runtime, 'c', '1')).toBe('running')
    expect(stateOf(runtime, 'b', '1')).toBe('stopped')
    expect(stateOf(runtime, 'a', '1')).toBe('running')
    // It is known, and comes back.
    await runtime.predict('b', rows(1))
    expect(stateOf(runtime, 'b', '1')).toBe('running')
  })

  it('refuses a load that nothing can be evicted for, and says what is needed and free', async () => {
    await withRoom(140 * MIB)
    await load('a', '1', { pinned: true })
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
    // Nothing is wrong with it: it is cold.
    expect(runtime.models.listModels().find(({ name }) => name === 'b')?.state).toBe('stopped')
    expect(runtime.stats().memory.budget.reservedBytes).toBe(0)
    await runtime.models.unloadModel('a')
    await load('b')
    expect(stateOf(runtime, 'b', '1')).toBe('running')
  })

  it('leaves a version alone that has a request', async () => {
    await withRoom(140 * MIB)
    const a = await load('a')
    const input = rows(512)
    const controller = new AbortController()
    // More than can be answered before the load is decided, however busy the machine is.
    const requests = Array.from({ length: 200 }, () => a.predict(input, { signal: controller.signal }))
    const over = Promise.allSettled(requests)
    expect(await codeOf(load('b'))).toBe('ERR_INSUFFICIENT_MEMORY')
    controller.abort()
    expect((await over).at(-1)).toMatchObject({ reason: { code: 'ERR_ABORTED' } })
    await expect.poll(() => a.stats().pool?.idle).toBe(1)
    await load('b')
    expect(stateOf(runtime, 'a', '1')).toBe('stopped')
  })

  it('holds for loads that a request begins, and for those at the same time', async () => {
    await withRoom(140 * MIB)
    const outcomes = await Promise.allSettled([load('a'), load('b'), load('c')])
    const served = runtime.models.listModels().filter(({ state }) => state === 'running')
    // Each finds the others idle, or still being loaded.
    expect(outcomes.some(({ status }) => status === 'fulfilled')).toBe(true)
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason.code).toBe('ERR_INSUFFICIENT_MEMORY')
    }
    expect(served).toHaveLength(1)
    for (const name of ['a', 'b', 'c']) {
      if (outcomes[['a', 'b', 'c'].indexOf(name)]?.status === 'fulfilled')
        await runtime.predict(name, rows(1))
    }
    expect(runtime.stats().memory.budget.reservedBytes).toBe(0)
  })

  it('needs room for both versions of a swap', async () => {
    await withRoom(140 * MIB)
    await load('a')
    const swap = { name: 'a', newVersion: '2', source: models.path('a', '2') }
    expect(await codeOf(runtime.models.hotSwapModel(swap))).toBe('ERR_INSUFFICIENT_MEMORY')
    expect(stateOf(runtime, 'a', '1')).toBe('running')
    await runtime.predict('a', rows(1))
    const config = { swapStrategy: 'resource-preserving' as const, artifacts: 'off' as const }
    const { from, to, drained } = await runtime.models.hotSwapModel({ ...swap, config })
    expect([from, to]).toEqual(['1', '2'])
    expect(await drained).toMatchObject({ version: '1', rejected: 0 })
    expect(stateOf(runtime, 'a', '2')).toBe('running')
  })
})

describe('a swap that preserves resources', () => {
  /** Version 1 of a model is served; 2 answers too, 3 takes another input. */
  async function served(): Promise<string[]> {
    const repository = tempRepository({ m: { '1': graphs.constantAnswer(1) } })
    await start({ modelDir: repository.dir, swapStrategy: 'resource-preserving' })
    repository.write('m', '2', graphs.constantAnswer(2))
    repository.write('m', '3', graphs.stringInOut())
    return movesOf(runtime)
  }

  const answerOf = async (): Promise<number> => Number((await runtime.predict('m', { x: [0] })).y?.data[0])

  it('ends the old version before it loads the new one, and loses no request', async () => {
    const moves = await served()
    let isOver = false
    const answers: number[] = []
    const callers = Array.from({ length: 8 }, async () => {
      while (!isOver) answers.push(await answerOf())
    })
    const { drained } = await runtime.models.hotSwapModel({ name: 'm', newVersion: '2' })
    expect(await drained).toMatchObject({ version: '1', rejected: 0 })
    isOver = true
    await Promise.all(callers)
    expect(moves.indexOf('m@1 stopping>stopped')).toBeGreaterThan(-1)
    expect(moves.indexOf('m@1 stopping>stopped')).toBeLessThan(
      moves.indexOf('m@2 uninitialized>initializing'),
    )
    expect(new Set(answers)).toEqual(new Set([1, 2]))
    // All of the first come before all of the second.
    expect(answers).toEqual([...answers].sort())
    await expect(runtime.models.rollback('m')).resolves.toMatchObject({ from: '2', to: '1' })
    expect(await answerOf()).toBe(1)
  })

  it.each([
    ['cannot be loaded', '/nowhere/model.onnx', 'ERR_MODEL_LOAD'],
    ['takes another input', undefined, 'ERR_SIGNATURE_MISMATCH'],
  ])(
    'loads the old version again if the new one %s, and no request is answered by that',
    async (_, source, code) => {
      const moves = await served()
      let isOver = false
      const outcomes = new Set<string | number>()
      const callers = Array.from({ length: 8 }, async () => {
        while (!isOver) outcomes.add(await answerOf().catch((error) => error.code))
      })
      const broken = { name: 'm', newVersion: '3', ...(source === undefined ? {} : { source }) }
      expect(await codeOf(runtime.models.hotSwapModel(broken))).toBe(code)
      await inState(runtime, 'm', '1', 'running')
      expect(await answerOf()).toBe(1)
      isOver = true
      await Promise.all(callers)
      expect(new Set([...outcomes, 'ERR_MODEL_UNAVAILABLE'])).toEqual(new Set([1, 'ERR_MODEL_UNAVAILABLE']))
      expect(moves.filter((move) => move.endsWith('>initializing'))).toEqual([
        'm@3 uninitialized>initializing',
        'm@1 stopped>initializing',
      ])
      expect(runtime.models.getModel('m')?.version).toBe('1')
    },
  )
})

describe('a model that keeps some replicas', () => {
  async function served(config: object): Promise<ModelHandle> {
    const repository = tempRepository({ m: { '1': graphs.constantAnswer(1) } })
    await start()
    return runtime.models.loadModel({ name: 'm', version: '1', source: repository.path('m', '1'), config })
  }

  it('is left with them when it is unused, and has all of them back after a request', async () => {
    const handle = await served({ replicas: 3, minReplicas: 1 })
    expect(await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })).toEqual([])
    await expect.poll(() => handle.stats().pool?.replicas).toBe(1)
    expect(handle.state).toBe('running')
    expect(Number((await handle.predict({ x: [0] })).y?.data[0])).toBe(1)
    await expect.poll(() => handle.stats().pool?.replicas).toBe(3)
    await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
    await handle.resize(2)
    await handle.predict({ x: [0] })
    expect(handle.stats().pool?.replicas).toBe(2)
  })

  it('is not evicted when it is pinned', async () => {
    const handle = await served({ pinned: true })
    expect(await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })).toEqual([])
    expect(handle.state).toBe('running')
  })
})
