import { parentPort, threadId, workerData } from 'node:worker_threads'
import { errors, messageOf } from '../src/errors.js'
import type { ReplicaControl } from '../src/protocol/control.js'
import { exposeControl } from '../src/protocol/control-port.js'
import { asRuntimeError } from '../src/protocol/error-codec.js'
import type { LoadedModel, LoaderContext, LoadModel } from '../src/protocol/loader.js'
import type { LoadDone, LoadTask, LogLine, PortTask } from '../src/protocol/messages.js'
import type { ModelFile } from '../src/protocol/model-files.js'
import { takesTurns } from '../src/protocol/providers.js'
import type { ThreadData, ThreadLoad, ThreadTask } from '../src/protocol/thread.js'
import { checkLoaded } from './check-loaded.js'
import { failure } from './failure.js'
import { checkFiles, identify, settledFiles } from './model-content.js'
import { hazardsIn } from './onnx-hazards.js'
import { NativeLane } from './replica/native-lane.js'
import { PackRunner } from './replica/pack-runner.js'
import { ReplicaLog } from './replica/replica-log.js'
import { type TaskAnswer, TaskLoop } from './replica/task-loop.js'
import { NO_HAZARDS, SideWorker } from './side-worker.js'

// Nothing here may throw while it is imported: Piscina would never settle the first task.

const subject = workerData as ThreadData
const lane = new NativeLane(subject.guard, subject.seat)
const log = new ReplicaLog(subject.logLevel, send)
const counts = { runs: 0, failedRuns: 0, busyMs: 0 }
let serving: Serving | undefined
const control: ReplicaControl = {
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
}

/** A loaded model and what is done with it. */
interface Serving {
  readonly model: LoadedModel
  readonly runner: PackRunner
  readonly side: SideWorker
}

/** The one task function of a replica: Piscina calls it with one task after another. */
export default async function replica(task: ThreadTask): Promise<unknown> {
  try {
    if (task.kind === 'load') return await load(task)
    const model = serving?.model
    serving = undefined
    await model?.release?.()
    return { ok: true }
  } catch (error) {
    return failure(error)
  }
}

/** What comes by the port: packs, and work beside them. */
async function answer(task: PortTask): Promise<TaskAnswer> {
  try {
    if (serving === undefined) throw new errors.ERR_MODEL_UNAVAILABLE('this replica holds no model', names())
    if (task.kind === 'run') return await serving.runner.run(task, serving.side)
    return { reply: await serving.side.work(task), transfer: [] }
  } catch (error) {
    return { reply: failure(error), transfer: [] }
  }
}

async function load(task: ThreadLoad): Promise<LoadDone> {
  exposeControl(control, task.control)
  new TaskLoop(task.tasks, subject.guard, answer)
  const isBuiltIn = task.loader === undefined
  const loadModel = await importLoader(task.loader)
  try {
    const [made, files] = await loadBest(loadModel, task)
    const model = isBuiltIn ? made : checkLoaded(made, names())
    const runner = new PackRunner(model, isBuiltIn, names(), counts, (index) => lane.begin(index))
    const side = new SideWorker(
      model.signature,
      (inputs, wanted) => runner.runOnce(inputs, wanted),
      isBuiltIn ? hazardsIn(task.source, model.signature, () => void check(task.source, files)) : NO_HAZARDS,
    )
    serving = { model, runner, side }
    if (isBuiltIn) lane.takesTurns &&= takesTurns(model.providers ?? [])
    const { signature, providers, skipped } = model
    return { ok: true, signature, files, ...(isBuiltIn ? { providers, skipped } : {}) }
  } catch (error) {
    throw asRuntimeError('ERR_MODEL_LOAD', `the loader of ${task.source} failed`, error, names())
  }
}

type Files = readonly ModelFile[] | undefined

/** Loads the artifact if there is one; should it be damaged or gone, the original. Also tells what that holds. */
async function loadBest(loadModel: LoadModel, task: LoadTask): Promise<[LoadedModel, Files]> {
  const { artifact, loader, source } = task
  const context: LoaderContext = {
    model: subject.model,
    version: subject.version,
    source,
    sessionOptions: task.sessionOptions,
    loaderOptions: task.loaderOptions,
    native: (call) => lane.run(call),
    log: (level, message, fields) => log.write(level, message, fields),
  }
  if (artifact !== undefined) {
    try {
      const { source: path, sessionOptions, files } = artifact
      const [model] = await loadFrom(loadModel, { ...context, source: path, sessionOptions }, files)
      return [model, task.files]
    } catch (error) {
      log.write('warn', 'the artifact cannot be loaded, the original is', { reason: messageOf(error) })
    }
  }
  return loadFrom(
    loadModel,
    context,
    task.files ?? (loader === undefined ? identify(source, names()) : undefined),
  )
}

/** Loads a model from files that hold what they are to hold, before that and after it. */
async function loadFrom(
  loadModel: LoadModel,
  context: LoaderContext,
  expected: Files,
): Promise<[LoadedModel, Files]> {
  const before = check(context.source, expected)
  const model = await loadModel(context)
  const after = check(context.source, before)
  return [model, after === undefined ? undefined : settledFiles(after)]
}

function check(source: string, files: Files): Files {
  return files === undefined ? undefined : checkFiles(source, files, names())
}

/** Codes of failures that an option of Node may be the cure for, such as `--import` and `--conditions`. */
const OF_OPTIONS = [
  'ERR_UNKNOWN_FILE_EXTENSION',
  'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX',
  'ERR_PACKAGE_PATH_NOT_EXPORTED',
]
const ON_OPTIONS =
  'replicas run without the Node options of this process; give those that it needs with `replicaExecArgv`'

async function importLoader(url: string | undefined): Promise<LoadModel> {
  if (url === undefined) return (await import('./onnx-loader.js')).load
  let module: { load?: unknown }
  try {
    module = (await import(url)) as { load?: unknown }
  } catch (error) {
    const advice = OF_OPTIONS.includes((error as NodeJS.ErrnoException).code ?? '') ? ` (${ON_OPTIONS})` : ''
    throw asRuntimeError(
      'ERR_MODEL_LOAD',
      `the loader module ${url} cannot be imported${advice}`,
      error,
      names(),
    )
  }
  if (typeof module.load !== 'function') {
    throw new errors.ERR_MODEL_LOAD(
      `the loader module ${url} exports no function named "load"; export one that takes a LoaderContext`,
      names(),
    )
  }
  return module.load as LoadModel
}

function send(line: LogLine): void {
  parentPort?.postMessage(line)
}

function names(): { model: string; version: string } {
  return { model: subject.model, version: subject.version }
}
