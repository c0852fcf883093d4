import { type MessagePort, parentPort, threadId, workerData } from 'node:worker_threads'
import { move, transferableSymbol, valueSymbol } from 'piscina'
import { errors } from '../src/errors.js'
import { exposeControl } from '../src/protocol/control.js'
import { asRuntimeError, encodeError } from '../src/protocol/error-codec.js'
import type { LoadedModel, LoadModel } from '../src/protocol/loader.js'
import type {
  Failure,
  LoadDone,
  LoadTask,
  ReplicaData,
  ReplicaMessage,
  ReplicaTask,
  RunTask,
} from '../src/protocol/messages.js'
import { checkLoaded } from './check-loaded.js'
import { NativeLane } from './native-lane.js'
import { hazardsIn } from './onnx-hazards.js'
import { PackRunner } from './pack-runner.js'
import { ReplicaLog } from './replica-log.js'
import { SideWorker } from './side-worker.js'

// Nothing here may throw while it is imported: Piscina would never settle the first task.

const subject = workerData as ReplicaData
const lane = new NativeLane(subject.guard)
const log = new ReplicaLog(subject.logLevel, send)
const counts = { runs: 0, failedRuns: 0, busyMs: 0 }
let serving: Serving | undefined

/** A loaded model and what is done with it. */
interface Serving {
  readonly model: LoadedModel
  readonly runner: PackRunner
  readonly side: SideWorker
}

/** The one task function of a replica: Piscina calls it with one task after another. */
export default async function replica(task: ReplicaTask): Promise<unknown> {
  try {
    switch (task.kind) {
      case 'load':
        return await load(task)
      case 'run':
        return await run(task)
      case 'side':
        return await serving?.side.work(task)
      case 'release':
        await serving?.model.release?.()
        serving = undefined
        return { ok: true }
    }
  } catch (error) {
    return { ok: false, error: encodeError(error) } satisfies Failure
  }
}

async function load(task: LoadTask): Promise<LoadDone> {
  openControl()
  const isBuiltIn = task.loader === undefined
  const loadModel = await importLoader(task.loader)
  try {
    const made = await loadModel({
      model: subject.model,
      version: subject.version,
      source: task.source,
      sessionOptions: task.sessionOptions,
      loaderOptions: task.loaderOptions,
      native: (call) => lane.run(call),
      log: (level, message, fields) => log.write(level, message, fields),
    })
    const model = isBuiltIn ? made : checkLoaded(made, names())
    const runner = new PackRunner(model, isBuiltIn, names(), counts, (index) => lane.begin(index))
    const side = new SideWorker(
      model.signature,
      (inputs, wanted) => runner.runOnce(inputs, wanted),
      isBuiltIn ? hazardsIn(task.source, model.signature) : () => undefined,
    )
    serving = { model, runner, side }
    return { ok: true, signature: model.signature }
  } catch (error) {
    throw asRuntimeError('ERR_MODEL_LOAD', `the loader of ${task.source} failed`, error, names())
  }
}

async function importLoader(url: string | undefined): Promise<LoadModel> {
  if (url === undefined) return (await import('./onnx-loader.js')).load
  let module: { load?: unknown }
  try {
    module = (await import(url)) as { load?: unknown }
  } catch (error) {
    throw asRuntimeError('ERR_MODEL_LOAD', `the loader module ${url} cannot be imported`, error, names())
  }
  if (typeof module.load !== 'function') {
    throw new errors.ERR_MODEL_LOAD(
      `the loader module ${url} exports no function named "load"; export one that takes a LoaderContext`,
      names(),
    )
  }
  return module.load as LoadModel
}

async function run(task: RunTask): Promise<unknown> {
  if (serving === undefined) throw new errors.ERR_MODEL_UNAVAILABLE('this replica holds no model', names())
  const { reply, transfer } = await serving.runner.run(task, serving.side)
  const wrapped = { [transferableSymbol]: transfer, [valueSymbol]: reply }
  return move(wrapped as unknown as Parameters<typeof move>[0])
}

function openControl(): void {
  const port = exposeControl({
    describe: () => ({
      threadId,
      model: subject.model,
      version: subject.version,
      signature: serving?.model.signature,
      nodeVersion: process.version,
      logLevel: log.level,
    }),
    stats: () => ({ ...counts, heapUsedBytes: process.memoryUsage().heapUsed }),
    setLogLevel: (level) => {
      log.level = level
    },
  })
  send({ kind: 'control-port', port }, [port])
}

function send(message: ReplicaMessage, transfer: readonly MessagePort[] = []): void {
  parentPort?.postMessage(message, [...transfer])
}

function names(): { model: string; version: string } {
  return { model: subject.model, version: subject.version }
}
