import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createRuntime, type RuntimeOptions } from '../../../src/create-runtime.js'
import type { Runtime } from '../../../src/runtime.js'
import type { Signature, TensorSpec } from '../../../src/tensors/tensor.js'
import type { FakeHost, FakeTask } from '../../support/fake-host.js'

const threads = vi.hoisted(() => ({ hosts: [] as unknown[] }))

vi.mock('../../../src/hosts/piscina-host.js', async () => {
  const { FakeHost } = await import('../../support/fake-host.js')
  return {
    PiscinaHost: class extends FakeHost {
      constructor() {
        super('m')
        threads.hosts.push(this)
        this.onTask = (task) => void answer(task)
      }
    },
  }
})

/** Stretches of the proof that a thread has left to do. */
const proofs = new WeakMap<FakeHost, number>()

const rows: TensorSpec = { name: 'x', type: 'float32', dims: ['batch'] }
/** With it there is a proof of batching. */
const batched: Signature = { inputs: [rows], outputs: [{ ...rows, name: 'y' }] }

/** Does what a thread would do, some turns of the loop later. */
async function answer(task: FakeTask): Promise<void> {
  for (let i = 0; i < 3; i += 1) await turn()
  const { host, message } = task
  if (host.task !== task) return
  if (message.kind === 'load') host.finishLoad(batched)
  else if (message.kind === 'release') task.reply({ ok: true })
  else if (message.kind === 'run') {
    proofs.set(host, 3)
    const { buffer, runs } = message
    const results = runs.map(() => ({ answer: { dims: [[1]], data: [Float32Array.of(1).buffer] }, ms: 1 }))
    task.reply({ ok: true, buffer, results, hasBackgroundWork: true })
  } else {
    const left = (proofs.get(host) ?? 0) - 1
    proofs.set(host, left)
    task.reply({ ok: true, hasBackgroundWork: left > 0, proof: undefined, checks: 0, fault: undefined })
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** One of the points at which an operation may be interrupted: mostly a microtask, now and then a turn of the loop. */
const step = (index: number): Promise<void> => (index % 6 === 5 ? turn() : Promise.resolve())

const source = fileURLToPath(import.meta.url)
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

let runtime: Runtime | undefined
afterEach(() => runtime?.close())

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

const WAITING = { timeout: 5_000, interval: 1 }

function expectNothingLeft(closed: Runtime, what: string): void {
  expect(what).toMatch(/ (done|ERR_[A-Z_]+)$/)
  expect(what).not.toContain('ERR_ILLEGAL_TRANSITION')
  const left = (threads.hosts as FakeHost[]).filter((host) => !host.isGone && host.id !== undefined)
  expect({ what, threads: left.length }).toEqual({ what, threads: 0 })
  expect({ what, reserved: closed.stats().memory.budget.reservedBytes }).toEqual({ what, reserved: 0 })
  for (const { state, stats } of closed.models.listModels()) {
    expect({ what, state, pool: stats.pool, queued: stats.queued }).toEqual({
      what,
      state: expect.stringMatching(/^(stopped|uninitialized)$/),
      pool: undefined,
      queued: 0,
    })
  }
}

/** Closes after `steps` steps of the operation; false if it was over before. */
async function closeAfter({ options, prepare, run }: Operation, steps: number): Promise<boolean> {
  threads.hosts.length = 0
  runtime = await createRuntime({ logLevel: 'silent', probe: 'off', artifacts: 'off', ...options })
  await prepare?.(runtime)
  const operation = follow(run(runtime))
  for (let index = 0; index < steps; index += 1) await step(index)
  const isOver = operation.result !== undefined
  await runtime.close({ timeoutMs: 10_000 })
  const closed = runtime
  // What was under way may still be reading a file.
  await vi.waitFor(() => expectNothingLeft(closed, `${steps} steps: ${operation.result}`), WAITING)
  return !isOver
}

/** Timers that keep the process alive. */
const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length

describe('close, at every step of', () => {
  it.each(Object.entries(OPERATIONS))(
    '%s, settles it and leaves nothing',
    async (_, operation) => {
      const before = timers()
      for (let steps = 0; await closeAfter(operation, steps); ) steps += 1 + Math.floor(steps / 15)
      expect(timers()).toBeLessThanOrEqual(before)
    },
    120_000,
  )
})
