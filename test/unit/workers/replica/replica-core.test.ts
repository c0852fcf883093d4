import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { decodeError } from '../../../../src/protocol/error-codec.js'
import type { Failure } from '../../../../src/protocol/failure.js'
import { CELL_COUNT, NONE, RUN } from '../../../../src/protocol/guard/guard-cells.js'
import type { LogLine } from '../../../../src/protocol/replica/log-line.js'
import type { RunDone } from '../../../../src/protocol/replica/replica-replies.js'
import type { LoadTask } from '../../../../src/protocol/replica/replica-task.js'
import type { Signature, Tensor } from '../../../../src/tensors/tensor.js'
import { ReplicaCore } from '../../../../workers/replica/replica-core.js'
import { MemoryTransport } from '../../../support/memory-transport.js'
import { outputsOf, packOf, sideTask } from '../../../support/packs.js'

const GATED_LOADER = new URL('../../../support/loaders/gated-loader.mjs', import.meta.url).href
const subject = { model: 'core', version: '7' }
const signature: Signature = {
  inputs: [
    { name: 'x', type: 'float32', dims: [1] },
    { name: 'do', type: 'string', dims: [1] },
  ],
  outputs: [{ name: 'y', type: 'float32', dims: [1] }],
}

const listeners = process.listeners('exit')

/** The lane of each replica adds a listener for the end of its thread, which all tests here share. */
afterEach(() => {
  for (const listener of process.listeners('exit')) {
    if (!listeners.includes(listener)) process.off('exit', listener)
  }
})

/** A replica in this thread, with a transport in memory. */
class Bench {
  readonly transport = new MemoryTransport()
  readonly lines: LogLine[] = []
  readonly cells = new Int32Array(new SharedArrayBuffer(CELL_COUNT * Int32Array.BYTES_PER_ELEMENT))
  readonly core: ReplicaCore

  constructor() {
    this.core = new ReplicaCore({
      ...subject,
      id: 42,
      logLevel: 'info',
      guard: this.cells.buffer as unknown as SharedArrayBuffer,
      seat: undefined,
      log: (line) => this.lines.push(line),
    })
    this.core.serve(this.transport)
  }

  static async loaded(loaderOptions?: unknown): Promise<Bench> {
    const bench = new Bench()
    expect(await bench.core.load(loadTask({ loaderOptions }))).toMatchObject({ ok: true, signature })
    return bench
  }

  /** Runs a pack; each run is an `x` and the action of the model. */
  async run(...runs: readonly (readonly [x: number, action?: string])[]): Promise<RunDone> {
    const inputs = runs.map(([x, action = '']): Tensor[] => [
      { type: 'float32', dims: [1], data: Float32Array.of(x) },
      { type: 'string', dims: [1], data: [action] },
    ])
    return (await this.transport.ask(packOf(signature, inputs))) as RunDone
  }
}

function loadTask(more: Partial<LoadTask> = {}): LoadTask {
  return {
    kind: 'load',
    loader: GATED_LOADER,
    source: '/nowhere',
    sessionOptions: {},
    artifact: undefined,
    loaderOptions: undefined,
    ...more,
  }
}

const errorOf = (reply: unknown): Error => decodeError((reply as Failure).error)

describe('a replica on any kind of host', () => {
  it('loads a model and runs packs', async () => {
    const bench = await Bench.loaded({ offset: 100 })
    const done = await bench.run([1], [2])
    expect([0, 1].map((run) => outputsOf(signature, done, run).y?.data[0])).toEqual([101, 102])
    expect(done.buffer).toBeInstanceOf(ArrayBuffer)
  })

  it('fails only the run that fails, and no other of its pack', async () => {
    const bench = await Bench.loaded()
    const done = await bench.run([1], [2, 'throw'], [3])
    expect(done.results.map((result) => 'error' in result)).toEqual([false, true, false])
    expect(errorOf(done.results[1])).toMatchObject({
      code: 'ERR_INFERENCE',
      ...subject,
      cause: { name: 'RangeError', code: 'E_RANGE' },
    })
    expect(bench.core.control.stats()).toMatchObject({ runs: 3, failedRuns: 1 })
  })

  it('reports which run of a pack it has begun', async () => {
    const bench = await Bench.loaded()
    Atomics.store(bench.cells, RUN, NONE)
    await bench.run([1], [2])
    expect(Atomics.load(bench.cells, RUN)).toBe(1)
  })

  it('replies with a failure to a task without a model and after a release', async () => {
    const bench = new Bench()
    expect(errorOf(await bench.run([1]))).toMatchObject({ code: 'ERR_MODEL_UNAVAILABLE', ...subject })
    await bench.core.load(loadTask())
    expect((await bench.run([1])).ok).toBe(true)
    expect(await bench.core.release()).toEqual({ ok: true })
    expect(errorOf(await bench.run([1]))).toMatchObject({ code: 'ERR_MODEL_UNAVAILABLE' })
    expect(errorOf(await bench.transport.ask(sideTask))).toMatchObject({ code: 'ERR_MODEL_UNAVAILABLE' })
  })

  it('replies with the reason to a load that fails, and stays usable', async () => {
    const bench = new Bench()
    const failed = await bench.core.load(loadTask({ loaderOptions: { load: 'throw' } }))
    expect(errorOf(failed)).toMatchObject({
      code: 'ERR_MODEL_LOAD',
      message: expect.stringContaining('does not want to'),
      ...subject,
    })
    expect(await bench.core.load(loadTask())).toMatchObject({ ok: true })
  })

  it.each([
    ['does not exist', new URL('./no-such-loader.mjs', import.meta.url).href, 'cannot be imported'],
    [
      'exports no load function',
      new URL('../../../process/children/child-kit.mjs', import.meta.url).href,
      '"load"',
    ],
  ])('names a loader module that %s', async (_, loader, message) => {
    const bench = new Bench()
    expect(errorOf(await bench.core.load(loadTask({ loader })))).toMatchObject({
      code: 'ERR_MODEL_LOAD',
      message: expect.stringContaining(message),
    })
  })

  it('loads the original when its artifact is damaged, and logs a warning', async () => {
    const bench = new Bench()
    const artifact = {
      source: '/artifact',
      sessionOptions: {},
      files: [{ path: fileURLToPath(import.meta.url), stamp: 'of another file', bytes: 1, sha256: '' }],
    }
    expect(await bench.core.load(loadTask({ artifact: artifact as never }))).toMatchObject({ ok: true })
    expect(bench.lines).toMatchObject([{ level: 'warn', fields: { reason: expect.any(String) } }])
    expect((await bench.run([1])).ok).toBe(true)
  })

  it('does background work', async () => {
    const bench = await Bench.loaded()
    const done = await bench.transport.ask(sideTask)
    expect(done).toMatchObject({ ok: true, hasBackgroundWork: false, checks: 0, fault: undefined })
  })

  it('fails a run whose outputs cannot be sent, and goes on', async () => {
    const bench = await Bench.loaded()
    const done = await bench.run([1, 'unclonable'])
    expect(errorOf(done.results[0])).toMatchObject({ code: 'ERR_INFERENCE' })
    expect(outputsOf(signature, await bench.run([2])).y?.data[0]).toBe(2)
  })

  it('describes itself with the thread id that its parent uses', async () => {
    const bench = new Bench()
    expect(bench.core.control.describe()).toEqual({
      ...subject,
      threadId: 42,
      signature: undefined,
      nodeVersion: process.version,
      logLevel: 'info',
    })
    await bench.core.load(loadTask())
    expect(bench.core.control.describe().signature).toMatchObject(signature)
  })

  it('sends log lines at or above its level, which can be changed', async () => {
    const bench = await Bench.loaded()
    await bench.run([1, 'log'])
    expect(bench.lines.map(({ level }) => level)).toEqual(['info', 'warn', 'error'])
    bench.core.control.setLogLevel('error')
    await bench.run([1, 'log'])
    expect(bench.lines.map(({ level }) => level)).toEqual(['info', 'warn', 'error', 'error'])
  })
})
