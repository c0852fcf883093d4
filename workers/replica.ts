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
  RunDone,
  RunTask,
} from '../src/protocol/messages.js'
import type { Outputs } from '../src/tensors/tensor.js'
import { checkLoaded, checkOutputs } from './check-loaded.js'
import { NativeLane } from './native-lane.js'
import { ReplicaLog } from './replica-log.js'

// Nothing here may throw while it is imported: Piscina would never settle the first task.

const subject = workerData as ReplicaData
const lane = new NativeLane(subject.guard)
const log = new ReplicaLog(subject.logLevel, send)
const counts = { runs: 0, failedRuns: 0, busyMs: 0 }
let loaded: LoadedModel | undefined
let isBuiltIn = true

/** The one task function of a replica: Piscina calls it with one task after another. */
export default async function replica(task: ReplicaTask): Promise<unknown> {
  try {
    switch (task.kind) {
      case 'load':
        return await load(task)
      case 'run':
        return await run(task)
      case 'release':
        await loaded?.release?.()
        loaded = undefined
        return { ok: true }
    }
  } catch (error) {
    return { ok: false, error: encodeError(error) } satisfies Failure
  }
}

async function load(task: LoadTask): Promise<LoadDone> {
  openControl()
  isBuiltIn = task.loader === undefined
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
    loaded = isBuiltIn ? made : checkLoaded(made, names())
  } catch (error) {
    throw asRuntimeError('ERR_MODEL_LOAD', `the loader of ${task.source} failed`, error, names())
  }
  return { ok: true, signature: loaded.signature }
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
  if (loaded === undefined) throw new errors.ERR_MODEL_UNAVAILABLE('this replica holds no model', names())
  const startedAt = performance.now()
  counts.runs += 1
  try {
    const outputs = await loaded.run(task.feeds, task.outputs)
    if (!isBuiltIn) checkOutputs(outputs, loaded.signature, task.outputs, names())
    return sent(outputs)
  } catch (error) {
    counts.failedRuns += 1
    throw asRuntimeError('ERR_INFERENCE', 'the run failed', error, names())
  } finally {
    counts.busyMs += performance.now() - startedAt
  }
}

/** The answer travels by transfer: its buffers are this run's own and nobody reads them here again. */
function sent(outputs: Outputs): unknown {
  let reply: RunDone = { ok: true, outputs }
  // An answer that cannot be sent would end the thread, so that of a custom loader is tried first.
  if (!isBuiltIn) reply = structuredClone(reply, { transfer: buffersOf(outputs) })
  const wrapped = { [transferableSymbol]: buffersOf(reply.outputs), [valueSymbol]: reply }
  return move(wrapped as unknown as Parameters<typeof move>[0])
}

function buffersOf(outputs: Outputs): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>()
  for (const name of Object.keys(outputs)) {
    const data = outputs[name]?.data
    if (ArrayBuffer.isView(data) && data.buffer instanceof ArrayBuffer) buffers.add(data.buffer)
  }
  return [...buffers]
}

function openControl(): void {
  const port = exposeControl({
    describe: () => ({
      threadId,
      model: subject.model,
      version: subject.version,
      signature: loaded?.signature,
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
