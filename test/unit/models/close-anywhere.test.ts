import { describe, expect, it } from 'vitest'
import type { RuntimeOptions } from '../../../src/create-runtime.js'
import type { Runtime } from '../../../src/runtime.js'
import type { Tensor, TensorSpec } from '../../../src/tensors/tensor.js'
import {
  advance,
  cleanUp,
  machine,
  runtime,
  start,
  useSimulatedRuntime,
} from '../../support/simulated-runtime.js'
import type { SimulatedLoader } from '../../support/simulated-thread.js'

useSimulatedRuntime()

const rows: TensorSpec = { name: 'x', type: 'float32', dims: ['batch'] }

/** A model whose requests can share runs, which its replicas prove beside their work. */
const batched: SimulatedLoader = async ({ native }) => ({
  signature: { inputs: [rows], outputs: [{ ...rows, name: 'y' }] },
  run: ({ x }) => native(() => ({ y: x as Tensor })),
})

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Resolves at the next point at which an operation may be interrupted: mostly a microtask, now and then a turn of the loop. */
const step = (index: number): Promise<void> => (index % 6 === 5 ? turn() : Promise.resolve())

const source = '/models/m.onnx'
const config = { replicas: 3 }
const sample = { input: { x: 1 } }
const model = { name: 'm', source }

const load = (runtime: Runtime, version = '1', more = {}): Promise<unknown> =>
  runtime.models.loadModel({ ...model, version, config: { ...config, ...more } })

const swap = (runtime: Runtime, more = {}): Promise<unknown> =>
  runtime.models.hotSwapModel({ ...model, newVersion: '2', config: { ...config, ...more } })

interface Operation {
  readonly options?: RuntimeOptions
  prepare?(runtime: Runtime): Promise<unknown>
  run(runtime: Runtime): Promise<unknown>
}

const OPERATIONS: Record<string, Operation> = {
  'the load of a first version': { run: (runtime) => load(runtime) },
  'a load with a sample and a proof': { run: (runtime) => load(runtime, '1', { sample }) },
  'loads that wait for each other': {
    run: (runtime) =>
      Promise.all(
        ['a', 'b', 'c'].map((name) => runtime.models.loadModel({ ...model, name, version: '1', config })),
      ),
  },
  'a load that promotes': {
    prepare: (runtime) => load(runtime),
    run: (runtime) =>
      load(runtime, '2').then(() => runtime.models.hotSwapModel({ name: 'm', newVersion: '2' })),
  },
  'a swap': {
    prepare: (runtime) => load(runtime),
    run: async (runtime) => ((await swap(runtime, { sample })) as { drained: Promise<unknown> }).drained,
  },
  'a swap that leaves the old version on standby, and back': {
    options: { standbyMs: 60_000 },
    prepare: (runtime) => load(runtime),
    run: async (runtime) => {
      await swap(runtime)
      await runtime.models.rollback('m')
    },
  },
  'a swap that drains first': {
    options: { swapStrategy: 'resource-preserving' },
    prepare: (runtime) => load(runtime),
    run: (runtime) => swap(runtime),
  },
  'a resize up and down': {
    prepare: (runtime) => load(runtime),
    run: async (runtime) => {
      const handle = runtime.models.getModel('m')
      await handle?.resize(5)
      await handle?.resize(1)
    },
  },
  'an eviction and a cold start': {
    prepare: (runtime) => load(runtime),
    run: async (runtime) => {
      await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
      await runtime.predict('m', { x: 1 })
    },
  },
  'an unload': {
    prepare: (runtime) => load(runtime),
    run: (runtime) => runtime.models.unloadModel('m'),
  },
}

const follow = (promise: Promise<unknown>): { result: string | undefined } => {
  const seen: { result: string | undefined } = { result: undefined }
  promise.then(
    () => {
      seen.result = 'done'
    },
    (error) => {
      seen.result = error.code ?? String(error)
    },
  )
  return seen
}

function expectNothingLeft(what: string): void {
  expect(what).toMatch(/ (done|ERR_[A-Z_]+)$/)
  expect(what).not.toContain('ERR_ILLEGAL_TRANSITION')
  const { reservedBytes } = runtime.stats().memory.budget
  expect({ what, threads: machine.alive.length, timers: machine.clock.pending, reservedBytes }).toEqual({
    what,
    threads: 0,
    timers: 0,
    reservedBytes: 0,
  })
  for (const { state, stats } of runtime.models.listModels()) {
    expect({ what, state, pool: stats.pool, queued: stats.queued }).toEqual({
      what,
      state: expect.stringMatching(/^(stopped|uninitialized)$/),
      pool: undefined,
      queued: 0,
    })
  }
}

/** Closes after `steps` steps of the operation; returns false if it was over before. */
async function closeAfter({ options, prepare, run }: Operation, steps: number): Promise<boolean> {
  machine.write(source, batched)
  await start(options)
  await prepare?.(runtime)
  const operation = follow(run(runtime))
  for (let index = 0; index < steps; index += 1) await step(index)
  const isOver = operation.result !== undefined
  const closing = runtime.close({ timeoutMs: 10_000 })
  await advance(0)
  expect(runtime.state).toBe('stopped')
  await closing
  expectNothingLeft(`${steps} steps: ${operation.result}`)
  await cleanUp()
  return !isOver
}

describe('a close at every step of', () => {
  it.each(Object.entries(OPERATIONS))(
    '%s settles it at once and leaves nothing',
    async (_, operation) => {
      for (let steps = 0; await closeAfter(operation, steps); ) steps += 1 + Math.floor(steps / 15)
    },
    60_000,
  )
})
