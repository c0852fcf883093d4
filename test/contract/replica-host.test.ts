import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import * as graphs from '../../models/synthetic/graphs.js'
import { tempRepository } from '../../models/synthetic/temp-repository.js'
import { errors } from '../../src/errors/errors.js'
import { PiscinaHost } from '../../src/hosts/piscina-host.js'
import { type ReplicaHost, UnsendableTask } from '../../src/hosts/replica-host.js'
import { decodeError } from '../../src/protocol/error-codec.js'
import type { Failure } from '../../src/protocol/failure.js'
import type { LogLine } from '../../src/protocol/replica/log-line.js'
import type { LoadDone, RunDone } from '../../src/protocol/replica/replica-replies.js'
import type { LoadTask, ReplicaTask, RunTask } from '../../src/protocol/replica/replica-task.js'
import type { Signature, Tensor } from '../../src/tensors/tensor.js'
import { TestClock } from '../../src/testing/test-clock.js'
import type { TestVersion } from '../../src/testing/test-model.js'
import { TestReplica } from '../../src/testing/test-replica.js'
import { FakeHost, type FakeTask, fakeSignature } from '../support/fake-host.js'
import { FakeMachine } from '../support/fake-machine.js'
import { Gate } from '../support/load-gate.js'
import { outputsOf, packOf, sideTask } from '../support/packs.js'
import { SimulatedGate } from '../support/simulated-gate.js'
import { testLogger } from '../support/test-logger.js'

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const REPLICA_ENTRY = file('../../dist/workers/replica.cjs')
const GATED_LOADER = new URL('../support/loaders/gated-loader.mjs', import.meta.url).href
const subject = { model: 'contract', version: '1' }
/** Time that a held load or run of a test runtime takes. */
const HELD_MS = 10

/** A host, and control over the tasks inside its thread. */
interface Rig {
  readonly host: ReplicaHost
  readonly exits: Error[]
  load(how?: 'throw' | 'exit' | 'hold'): LoadTask
  run(x: number, action?: Action): RunTask
  /** Resolves when the thread is inside a task that is held. */
  arrival(place: 'load' | 'run'): Promise<void>
  /** Lets a held task go on. */
  letGo(place: 'load' | 'run'): void
}

/** `hold` is a native call, `block` is JavaScript that does not return. */
type Action = 'throw' | 'exit' | 'exit-later' | 'hold'

function floats(...data: number[]): Float32Array<ArrayBuffer> {
  return Float32Array.from(data)
}

function loadTask(loader: string | undefined, source: string, loaderOptions: unknown = undefined): LoadTask {
  return { kind: 'load', loader, source, sessionOptions: {}, artifact: undefined, loaderOptions }
}

const gatedSignature: Signature = {
  inputs: [...fakeSignature.inputs, { name: 'do', type: 'string', dims: [1] }],
  outputs: fakeSignature.outputs,
}

/** Returns a pack of runs, each with its action. */
function packTask(...runs: readonly (readonly [x: number, action?: string])[]): RunTask {
  const inputs = runs.map(([x, action = '']): Tensor[] => [
    { type: 'float32', dims: [1], data: floats(x) },
    { type: 'string', dims: [1], data: [action] },
  ])
  return packOf(gatedSignature, inputs)
}

function runTask(x: number, action = ''): RunTask {
  return packTask([x, action])
}

function piscinaHost(entry: string, lines: LogLine[] = []): PiscinaHost {
  const { NODE_OPTIONS: _, ...env } = process.env
  return new PiscinaHost({
    ...subject,
    entry,
    execArgv: [],
    env,
    niceIncrement: 5,
    exitWaitMs: 5000,
    logLevel: 'info',
    onLog: (line) => lines.push(line),
  })
}

function realRig(): Rig {
  const host = piscinaHost(REPLICA_ENTRY)
  const gate = new Gate()
  return {
    host,
    exits: exitsOf(host),
    load: (how) =>
      loadTask(GATED_LOADER, '/nowhere', {
        gate: gate.memory,
        ...(how === 'hold' ? { hold: ['load'] } : how === undefined ? {} : { load: how }),
      }),
    run: runTask,
    arrival: (place) => gate.arrival(place),
    letGo: (place) => gate.open(place),
  }
}

/** Returns the action of each run of a pack. */
function actionsOf(message: ReplicaTask): (string | undefined)[] {
  return message.kind === 'run'
    ? message.runs.map(({ separate }) => (separate?.[1] as string[] | undefined)?.[0])
    : []
}

/** Returns a fake host that behaves as the gated loader does. */
function fakeRig(isKillable: boolean): Rig {
  const host = new FakeHost(subject.model, subject.version, isKillable)
  const held: FakeTask[] = []
  const exits: (() => void)[] = []
  const arrivals: (() => void)[] = []
  const actOn = (task: FakeTask): void => {
    const { message } = task
    if (message.kind === 'release') {
      task.reply({ ok: true })
      return
    }
    const actions = actionsOf(message)
    const begun = actions.findIndex((each) => each !== '')
    if (begun !== -1) host.progress = begun
    const action = message.kind === 'load' ? message.loaderOptions : actions[begun]
    if (action === 'hold') {
      held.push(task)
      for (const arrive of arrivals.splice(0)) arrive()
      return
    }
    // A thread also acts later than the call.
    setImmediate(() => act(task, action))
  }
  const act = (task: FakeTask, action: unknown): void => {
    const isLoad = task.message.kind === 'load'
    // The host was killed meanwhile.
    if (host.task !== task) return
    if (action === 'exit') host.exit()
    else if (action === 'throw' && isLoad) task.fail(new errors.ERR_MODEL_LOAD('it does not want to'))
    else if (action === 'throw') host.failRun()
    else if (isLoad) host.finishLoad()
    else host.answer()
    if (action === 'exit-later') exits.push(() => host.exit())
  }
  host.onTask = actOn
  return {
    host,
    exits: exitsOf(host),
    load: (how) => loadTask(undefined, '/nowhere', how),
    run: runTask,
    arrival: () =>
      held.length > 0 ? Promise.resolve() : new Promise<void>((resolve) => arrivals.push(resolve)),
    letGo: () => {
      const exit = exits.shift()
      if (exit === undefined) act(held.shift() as FakeTask, undefined)
      else exit()
    },
  }
}

/** The gated loader as a version of a test runtime, on a clock of its own: what is held takes time. */
function testRig(): Rig {
  const clock = new TestClock()
  const exits: (() => void)[] = []
  let how: string | undefined
  let arrive: () => void = () => undefined
  const arrived = new Promise<void>((resolve) => {
    arrive = resolve
  })
  const actionOf = (inputs: Record<string, Tensor>): unknown => inputs.do?.data[0]
  const behaviour: TestVersion = {
    get loadMs() {
      return how === 'hold' ? HELD_MS : 0
    },
    loadError: () => {
      if (how === 'exit') host.exit()
      return how === 'throw' ? new errors.ERR_MODEL_LOAD('it does not want to') : undefined
    },
    latencyMs: (inputs) => {
      if (actionOf(inputs) !== 'hold') return 0
      arrive()
      return HELD_MS
    },
    answer: (inputs) => {
      const action = actionOf(inputs)
      if (action === 'exit') host.exit()
      if (action === 'exit-later') exits.push(() => host.exit())
      if (action === 'throw') throw new Error('the run failed')
      return { y: inputs.x as Tensor }
    },
  }
  const host: TestReplica = new TestReplica({
    identity: { ...subject, threadId: 1, logLevel: 'info' },
    signature: gatedSignature,
    behaviour,
    clock,
    onGone: () => undefined,
    onWait: () => undefined,
  })
  return {
    host,
    exits: exitsOf(host),
    load: (action) => {
      how = action
      return loadTask(undefined, '/nowhere')
    },
    run: runTask,
    arrival: (place) => (place === 'load' ? Promise.resolve() : arrived),
    letGo: () => {
      const exit = exits.shift()
      if (exit === undefined) void clock.advance(HELD_MS)
      else exit()
    },
  }
}

/** A thread of the fake machine, with the model of the gated loader. */
function simulatedRig(): Rig {
  const order = { ...subject, importsModules: true, takesTurns: false, onLog: () => undefined }
  const { hosts } = new FakeMachine().ports(testLogger(() => undefined))
  const host = hosts({ ...order, logLevel: () => 'info' })()
  const gate = new SimulatedGate()
  return {
    host,
    exits: exitsOf(host),
    load: (how) =>
      loadTask(GATED_LOADER, '/nowhere', {
        gate: gate.memory,
        ...(how === 'hold' ? { hold: ['load'] } : how === undefined ? {} : { load: how }),
      }),
    run: runTask,
    arrival: (place) => gate.arrival(place),
    letGo: (place) => gate.open(place),
  }
}

function exitsOf(host: ReplicaHost): Error[] {
  const exits: Error[] = []
  host.onExit = (cause) => exits.push(cause)
  return exits
}

/** Resolves at the next unexpected exit of the thread. */
function exitOf(rig: Rig): Promise<Error> {
  return new Promise((resolve) => {
    rig.host.onExit = (cause) => {
      rig.exits.push(cause)
      resolve(cause)
    }
  })
}

async function loaded(makeRig: () => Rig): Promise<Rig> {
  const rig = makeRig()
  expect(await rig.host.load(rig.load())).toMatchObject({ ok: true })
  return rig
}

async function yOf(reply: Promise<unknown>): Promise<number> {
  const done = (await reply) as RunDone
  expect(done.ok).toBe(true)
  return Number(outputsOf(gatedSignature, done).y?.data[0])
}

/** Resolves with the error of the only run of a pack. */
async function errorOf(reply: Promise<unknown>): Promise<Error> {
  const { results } = (await reply) as RunDone
  const [result] = results
  if (result === undefined || !('error' in result)) throw new Error('the run did not fail')
  return decodeError(result.error)
}

/** Waits until all work is done that no test has to release. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await new Promise((resolve) => setImmediate(resolve))
}

const gone = expect.objectContaining({ code: 'ERR_REPLICA_EXITED', ...subject })

beforeAll(() => {
  if (!existsSync(REPLICA_ENTRY)) throw new Error(`${REPLICA_ENTRY} is missing: npm run build`)
})

describe.each([
  ['a fake host', () => fakeRig(false), false],
  ['a fake host that is killable', () => fakeRig(true), true],
  ['the host of a test runtime', testRig, false],
  ['a thread of the fake machine', simulatedRig, false],
  ['a Piscina host', realRig, false],
])('%s', (_, makeRig, isKillable) => {
  it('says whether it may be ended in the middle of a task', () => {
    expect(makeRig().host.isKillable).toBe(isKillable)
  })

  it('loads and tells the signature', async () => {
    const rig = makeRig()
    const reply = await rig.host.load(rig.load())
    expect(reply).toMatchObject({ ok: true, signature: { outputs: fakeSignature.outputs } })
    expect(rig.host.id).toBeGreaterThan(0)
    await rig.host.terminate()
  })

  it('has a thread as soon as load is called', async () => {
    const rig = makeRig()
    expect(rig.host.id).toBeUndefined()
    const loading = rig.host.load(rig.load())
    expect(rig.host.id).toBeGreaterThan(0)
    await loading
    await rig.host.terminate()
  })

  it('tells a failed load as data and lives on', async () => {
    const rig = makeRig()
    const reply = (await rig.host.load(rig.load('throw'))) as Failure
    expect(reply.ok).toBe(false)
    expect(decodeError(reply.error)).toMatchObject({
      code: 'ERR_MODEL_LOAD',
      message: expect.stringContaining('does not want to'),
    })
    expect(rig.exits).toEqual([])
    await expect(rig.host.release()).resolves.toMatchObject({ ok: true })
    await rig.host.terminate()
  })

  it('answers runs, one after another', async () => {
    const rig = await loaded(makeRig)
    for (const x of [1, 2, 3]) expect(await yOf(rig.host.run(rig.run(x)))).toBe(x)
    await rig.host.terminate()
  })

  it('tells which run of a pack it has begun last, after its end too', async () => {
    const rig = await loaded(makeRig)
    await rig.host.run(rig.run(1))
    expect(rig.host.progress).toBe(0)
    const running = rig.host.run(packTask([1], [2, 'hold'], [3])).catch((error) => error)
    await rig.arrival('run')
    expect(rig.host.progress).toBe(1)
    const ending = rig.host.terminate()
    rig.letGo('run')
    await ending
    expect(await running).toEqual(gone)
    expect(rig.host.progress).toBe(1)
  })

  it('tells a failed run as data and lives on', async () => {
    const rig = await loaded(makeRig)
    expect(await errorOf(rig.host.run(rig.run(1, 'throw')))).toMatchObject({ code: 'ERR_INFERENCE' })
    expect(await yOf(rig.host.run(rig.run(2)))).toBe(2)
    await rig.host.terminate()
  })

  it('takes the buffers of a pack for itself, and one that is in it twice', async () => {
    const rig = await loaded(makeRig)
    const given = floats(1)
    const { runs, ...rest } = rig.run(0)
    const twice = [...runs, ...runs].map((run) => ({ ...run, separate: [given.buffer, run.separate?.[1]] }))
    const reply = rig.host.run({ ...rest, runs: twice })
    expect([given.byteLength, rest.buffer.byteLength]).toEqual([0, 0])
    const done = (await reply) as RunDone
    expect([0, 1].map((run) => outputsOf(gatedSignature, done, run).y?.data[0])).toEqual([1, 1])
    expect(done.buffer?.byteLength).toBeGreaterThan(0)
    await rig.host.terminate()
  })

  it('rejects a task that cannot be sent with the reason, and lives on', async () => {
    const rig = await loaded(makeRig)
    const unsendable = (() => 1) as unknown as undefined
    const refusal = { name: 'UnsendableTask', cause: { name: 'DataCloneError' } }
    const run = rig.host.run({ ...rig.run(1), plan: unsendable })
    await expect(run).rejects.toMatchObject(refusal)
    await expect(run).rejects.toBeInstanceOf(UnsendableTask)
    await expect(rig.host.background({ ...sideTask, tried: unsendable })).rejects.toMatchObject(refusal)
    expect(await yOf(rig.host.run(rig.run(2)))).toBe(2)
    expect(rig.exits).toEqual([])
    await rig.host.terminate()
  })

  it('rejects the load in which the thread dies', async () => {
    const rig = makeRig()
    await expect(rig.host.load(rig.load('exit'))).rejects.toEqual(gone)
    await settle()
    expect(rig.exits).toHaveLength(1)
    expect(rig.host.id).toBeUndefined()
    await rig.host.terminate()
  })

  it('rejects the run in which the thread dies and tells the exit once', async () => {
    const rig = await loaded(makeRig)
    const exit = exitOf(rig)
    await expect(rig.host.run(rig.run(1, 'exit'))).rejects.toEqual(gone)
    expect(await exit).toEqual(gone)
    await settle()
    await rig.host.terminate()
    await settle()
    expect(rig.exits).toHaveLength(1)
    expect(rig.host.id).toBeUndefined()
  })

  it('tells the exit of a thread that dies between two runs, once', async () => {
    const rig = await loaded(makeRig)
    const exit = exitOf(rig)
    expect(await yOf(rig.host.run(rig.run(1, 'exit-later')))).toBe(1)
    rig.letGo('run')
    expect(await exit).toEqual(gone)
    await rig.host.terminate()
    await settle()
    expect(rig.exits).toHaveLength(1)
    expect(rig.host.id).toBeUndefined()
  })

  it('starts no other thread when it is used after an exit', async () => {
    const rig = await loaded(makeRig)
    const exit = exitOf(rig)
    await rig.host.run(rig.run(1, 'exit-later'))
    rig.letGo('run')
    await exit
    await expect(rig.host.run(rig.run(2))).rejects.toEqual(gone)
    await expect(rig.host.release()).rejects.toEqual(gone)
    await expect(rig.host.load(rig.load())).rejects.toEqual(gone)
    expect(rig.host.id).toBeUndefined()
    await rig.host.terminate()
    expect(rig.exits).toHaveLength(1)
  })

  it('ends an idle thread without calling it an exit', async () => {
    const rig = await loaded(makeRig)
    await rig.host.terminate()
    await settle()
    expect(rig.host.id).toBeUndefined()
    expect(rig.exits).toEqual([])
  })

  it('can be ended twice, at once and later', async () => {
    const rig = await loaded(makeRig)
    await Promise.all([rig.host.terminate(), rig.host.terminate()])
    await rig.host.terminate()
    expect(rig.exits).toEqual([])
  })

  it('can be ended before it has been given anything', async () => {
    const rig = makeRig()
    await rig.host.terminate()
    await expect(rig.host.load(rig.load())).rejects.toEqual(gone)
    expect(rig.host.id).toBeUndefined()
  })

  it('refuses work from the moment its end is asked for', async () => {
    const rig = await loaded(makeRig)
    const ending = rig.host.terminate()
    await expect(rig.host.run(rig.run(1))).rejects.toEqual(gone)
    await ending
    await expect(rig.host.run(rig.run(1))).rejects.toEqual(gone)
    await expect(rig.host.release()).rejects.toEqual(gone)
  })

  it.runIf(isKillable)('is ended in the middle of a task, at once', async () => {
    for (const place of ['load', 'run'] as const) {
      const rig = place === 'load' ? makeRig() : await loaded(makeRig)
      const task = place === 'load' ? rig.host.load(rig.load('hold')) : rig.host.run(rig.run(1, 'hold'))
      const outcome = task.catch((error: unknown) => error)
      await rig.arrival(place)
      await rig.host.terminate()
      expect(await outcome).toEqual(gone)
      expect(rig.host.id).toBeUndefined()
      expect(rig.exits).toEqual([])
    }
  })

  it.skipIf(isKillable)(
    'waits with the end until a run is outside its native call, and drops the answer',
    async () => {
      const rig = await loaded(makeRig)
      const order: string[] = []
      const running = rig.host.run(rig.run(1, 'hold')).catch((error) => error)
      await rig.arrival('run')
      const ending = rig.host.terminate().then(() => order.push('gone'))
      await settle()
      order.push('let go')
      rig.letGo('run')
      await ending
      expect(order).toEqual(['let go', 'gone'])
      expect(await running).toEqual(gone)
      expect(rig.exits).toEqual([])
    },
  )

  it.skipIf(isKillable)('waits with the end until a load is outside its native call', async () => {
    const rig = makeRig()
    const order: string[] = []
    const loading = rig.host.load(rig.load('hold')).catch((error) => error)
    await rig.arrival('load')
    const ending = rig.host.terminate().then(() => order.push('gone'))
    await settle()
    order.push('let go')
    rig.letGo('load')
    await ending
    expect(order).toEqual(['let go', 'gone'])
    expect(await loading).toEqual(gone)
  })

  it('can be detached at any time', async () => {
    const rig = makeRig()
    rig.host.detach()
    await rig.host.load(rig.load())
    rig.host.detach()
    expect(await yOf(rig.host.run(rig.run(1)))).toBe(1)
    await rig.host.terminate()
    rig.host.detach()
  })

  it('gives its session back and can be ended after it', async () => {
    const rig = await loaded(makeRig)
    expect(await rig.host.release()).toMatchObject({ ok: true })
    await rig.host.terminate()
    expect(rig.exits).toEqual([])
  })

  describe('has a control plane that', () => {
    it('answers what was asked while the replica started', async () => {
      const rig = makeRig()
      const early = rig.host.setLogLevel('debug')
      const loading = rig.host.load(rig.load())
      const [description] = await Promise.all([rig.host.describe(), early, loading])
      expect(description).toMatchObject({ threadId: rig.host.id, logLevel: 'debug' })
      await rig.host.terminate()
    })

    it('rejects what was asked of a replica that never starts', async () => {
      const rig = makeRig()
      const asked = Promise.allSettled([rig.host.describe(), rig.host.stats(), rig.host.setLogLevel('warn')])
      await rig.host.terminate()
      for (const outcome of await asked) expect(outcome).toMatchObject({ status: 'rejected', reason: gone })
    })

    it('settles what is asked while the replica dies in its load, and rejects what comes later', async () => {
      const rig = makeRig()
      const loading = rig.host.load(rig.load('exit')).catch((error) => error)
      // A thread may answer before it starts the load.
      const outcome = rig.host.describe().catch((error) => error)
      expect(await loading).toEqual(gone)
      if ((await outcome) instanceof Error) expect(await outcome).toEqual(gone)
      await expect(rig.host.stats()).rejects.toEqual(gone)
      await rig.host.terminate()
    })

    it('describes the replica', async () => {
      const rig = await loaded(makeRig)
      expect(await rig.host.describe()).toMatchObject({
        ...subject,
        threadId: rig.host.id,
        signature: { outputs: fakeSignature.outputs },
        nodeVersion: process.version,
        logLevel: 'info',
      })
      await rig.host.terminate()
    })

    it('counts runs', async () => {
      const rig = await loaded(makeRig)
      const before = await rig.host.stats()
      await rig.host.run(rig.run(1))
      await rig.host.run(rig.run(1, 'throw'))
      const after = await rig.host.stats()
      expect(after.runs - before.runs).toBe(2)
      expect(after.failedRuns - before.failedRuns).toBe(1)
      expect(after.heapUsedBytes).toBeGreaterThan(0)
      await rig.host.terminate()
    })

    it('sets the log level', async () => {
      const rig = await loaded(makeRig)
      await rig.host.setLogLevel('debug')
      expect((await rig.host.describe()).logLevel).toBe('debug')
      await rig.host.terminate()
    })

    it('answers many at once', async () => {
      const rig = await loaded(makeRig)
      const answers = await Promise.all(Array.from({ length: 50 }, () => rig.host.describe()))
      expect(new Set(answers.map((one) => one.threadId))).toEqual(new Set([rig.host.id]))
      await rig.host.terminate()
    })

    it('answers when the thread is outside its task again', async () => {
      const rig = await loaded(makeRig)
      const running = rig.host.run(rig.run(1, 'hold'))
      await rig.arrival('run')
      const asked = rig.host.stats()
      rig.letGo('run')
      expect(await yOf(running)).toBe(1)
      expect((await asked).runs).toBeGreaterThan(0)
      await rig.host.terminate()
    })

    it('rejects what is asked of a thread that is ended meanwhile', async () => {
      const rig = await loaded(makeRig)
      const running = rig.host.run(rig.run(1, 'hold')).catch((error) => error)
      await rig.arrival('run')
      const asked = [rig.host.describe(), rig.host.stats(), rig.host.setLogLevel('warn')]
      const outcomes = Promise.allSettled(asked)
      const ending = rig.host.terminate()
      rig.letGo('run')
      await ending
      for (const outcome of await outcomes) {
        expect(outcome).toMatchObject({ status: 'rejected', reason: gone })
      }
      expect(await running).toEqual(gone)
    })

    it.each(['describe', 'stats', 'setLogLevel'] as const)('rejects %s after an exit', async (call) => {
      const rig = await loaded(makeRig)
      const exit = exitOf(rig)
      await rig.host.run(rig.run(1, 'exit-later'))
      rig.letGo('run')
      await exit
      await expect(rig.host[call]('warn')).rejects.toEqual(gone)
      await rig.host.terminate()
    })

    it('rejects everything after the end', async () => {
      const rig = await loaded(makeRig)
      await rig.host.terminate()
      await expect(rig.host.describe()).rejects.toEqual(gone)
      await expect(rig.host.setLogLevel('warn')).rejects.toEqual(gone)
    })
  })
})

describe('a Piscina host with real models', () => {
  it('loads an ONNX file, runs it and gives float16 as bits', async () => {
    using repository = tempRepository({ half: { '1': graphs.identity('float16') } })
    const host = piscinaHost(REPLICA_ENTRY)
    const reply = await host.load(loadTask(undefined, repository.path('half', '1')))
    expect(reply).toMatchObject({
      ok: true,
      signature: { inputs: [{ name: 'x', type: 'float16', dims: ['n'] }], outputs: [{ name: 'y' }] },
    })
    const data = Uint16Array.of(0x3c00, 0xc000)
    const { signature } = reply as LoadDone
    const task = packOf(signature, [[{ type: 'float16', dims: [2], data }]], ['y'])
    const done = (await host.run(task)) as RunDone
    expect(outputsOf(signature, done)).toEqual({ y: { type: 'float16', dims: [2], data } })
    expect(await host.release()).toMatchObject({ ok: true })
    await host.terminate()
  })

  it('tells a file that is no model as data', async () => {
    using repository = tempRepository()
    const path = join(repository.dir, 'text.onnx')
    writeFileSync(path, 'this is text')
    const host = piscinaHost(REPLICA_ENTRY)
    const reply = (await host.load(loadTask(undefined, path))) as Failure
    expect(decodeError(reply.error)).toMatchObject({ code: 'ERR_MODEL_LOAD', ...subject })
    await host.terminate()
  })

  it('settles every task that is under way when its thread ends', async () => {
    const rig = await loaded(realRig)
    const running = rig.host.run(rig.run(1, 'hold'))
    await rig.arrival('run')
    const tasks = Promise.allSettled([running, rig.host.release()])
    const ending = rig.host.terminate()
    rig.letGo('run')
    await ending
    const codes = (await tasks).map((task) => (task.status === 'rejected' ? task.reason.code : 'settled'))
    expect(codes).toEqual(['ERR_REPLICA_EXITED', 'ERR_REPLICA_EXITED'])
  })

  it('refuses a run after its session was given back', async () => {
    const rig = await loaded(realRig)
    await rig.host.release()
    const reply = (await rig.host.run(rig.run(1))) as Failure
    expect(decodeError(reply.error)).toMatchObject({ code: 'ERR_MODEL_UNAVAILABLE', ...subject })
    await rig.host.terminate()
  })

  it('keeps the error of a custom loader whole', async () => {
    const rig = await loaded(realRig)
    expect(await errorOf(rig.host.run(rig.run(1, 'throw')))).toMatchObject({
      code: 'ERR_INFERENCE',
      ...subject,
      cause: expect.objectContaining({ name: 'RangeError', code: 'E_RANGE', size: 3 }),
    })
    await rig.host.terminate()
  })

  it('forwards log lines from its level on', async () => {
    const lines: LogLine[] = []
    const host = piscinaHost(REPLICA_ENTRY, lines)
    await host.load(loadTask(GATED_LOADER, '/nowhere'))
    await host.run(runTask(1, 'log'))
    // Log lines and replies come through different ports, in no fixed order.
    await vi.waitFor(() =>
      expect(lines.map((line) => [line.level, line.message])).toEqual([
        ['info', 'a info line'],
        ['warn', 'a warn line'],
        ['error', 'a error line'],
      ]),
    )
    await host.terminate()
  })

  it.each(['unclonable', 'kept', 'nothing'])(
    'takes an answer that cannot be sent (%s) for a failed run, and lives on',
    async (action) => {
      const rig = await loaded(realRig)
      await rig.host.run(runTask(1, action)).catch((error) => error)
      const error = await errorOf(rig.host.run(runTask(1, action)))
      expect(error).toMatchObject({ code: 'ERR_INFERENCE', ...subject })
      expect(await yOf(rig.host.run(rig.run(2)))).toBe(2)
      expect(rig.exits).toEqual([])
      await rig.host.terminate()
    },
  )

  it('tells an error that nobody caught in its thread as the exit it leads to', async () => {
    const rig = await loaded(realRig)
    const exit = exitOf(rig)
    await rig.host.run(runTask(1, 'crash-later'))
    rig.letGo('run')
    expect(await exit).toMatchObject({
      code: 'ERR_REPLICA_EXITED',
      message: expect.stringContaining('nobody caught this'),
    })
    await settle()
    expect(rig.exits).toHaveLength(1)
    await rig.host.terminate()
  })
})

describe('a Piscina host whose entry is broken', () => {
  it.each([
    ['throws at import', file('entries/throws-at-import.mjs')],
    ['exits at import', file('entries/exits-at-import.mjs')],
    ['throws outside of every task', file('entries/throws-later.mjs')],
    ['is not there', file('entries/missing.mjs')],
  ])('because it %s rejects the load and can be ended', async (_, entry) => {
    const host = piscinaHost(entry)
    const exits = exitsOf(host)
    await expect(host.load(loadTask(undefined, '/nowhere'))).rejects.toBeInstanceOf(Error)
    // Piscina would never settle the second task of such a thread.
    const second = host.run(runTask(1)).then(
      () => 'answered',
      () => 'rejected',
    )
    await host.terminate()
    expect(await second).toBe('rejected')
    expect(host.id).toBeUndefined()
    expect(exits.length).toBeLessThanOrEqual(1)
  })

  it('because its thread cannot even be made rejects the load and can be ended', async () => {
    const host = new PiscinaHost({
      ...subject,
      entry: REPLICA_ENTRY,
      execArgv: ['--no-such-option-of-node'],
      env: process.env,
      niceIncrement: 5,
      exitWaitMs: 5000,
      logLevel: 'info',
      onLog: () => undefined,
    })
    await expect(host.load(loadTask(undefined, '/nowhere'))).rejects.toBeInstanceOf(Error)
    await expect(host.release()).rejects.toBeInstanceOf(Error)
    await host.terminate()
  })
})
