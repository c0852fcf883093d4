import { errors } from '../../src/errors/errors.js'
import { asRuntimeError } from '../../src/protocol/error-codec.js'
import { failure } from '../../src/protocol/failure.js'
import type { LoadedModel } from '../../src/protocol/loader.js'
import { takesTurns } from '../../src/protocol/providers.js'
import type { ReplicaControl } from '../../src/protocol/replica/control.js'
import type { LoadDone, ReplicaReplies } from '../../src/protocol/replica/replica-replies.js'
import type { LoadTask, PortTask } from '../../src/protocol/replica/replica-task.js'
import { hazardsIn } from '../onnx/hazards-in.js'
import { BackgroundWorker, NO_HAZARDS } from './background-worker.js'
import { checkLoaded } from './check-loaded.js'
import { checkContent, importLoader, loadBest } from './load-model.js'
import { NativeLane } from './native-lane.js'
import { PackRunner } from './pack-runner.js'
import type { Parent, TaskTransport } from './parent.js'
import { ReplicaLog } from './replica-log.js'
import { type TaskAnswer, TaskLoop } from './task-loop.js'

/** A loaded model, with the objects that run it and do its background work. */
interface Serving {
  readonly model: LoadedModel
  readonly runner: PackRunner
  readonly background: BackgroundWorker
}

/** A replica, independent of where it runs: it knows its parent and the transport of its tasks, but no thread. */
export class ReplicaCore {
  readonly control: ReplicaControl
  readonly #owner: { readonly model: string; readonly version: string }
  readonly #lane: NativeLane
  readonly #log: ReplicaLog
  readonly #counts = { runs: 0, failedRuns: 0, busyMs: 0 }
  #serving: Serving | undefined

  constructor({ id, model, version, logLevel, guard, seat, log }: Parent) {
    this.#owner = { model, version }
    this.#lane = new NativeLane(guard, seat)
    this.#log = new ReplicaLog(logLevel, log)
    this.control = {
      describe: () => ({
        threadId: id,
        model,
        version,
        signature: this.#serving?.model.signature,
        nodeVersion: process.version,
        logLevel: this.#log.level,
      }),
      stats: () => ({ ...this.#counts, heapUsedBytes: process.memoryUsage().heapUsed }),
      setLogLevel: (level) => {
        this.#log.level = level
      },
    }
  }

  /** Handles the tasks that come by `transport` from now on: packs and background work. Call it once. */
  serve(transport: TaskTransport): void {
    new TaskLoop(transport, (task) => this.#answer(task))
  }

  /** Loads a model. Never rejects: a failure is the reply. */
  async load(task: LoadTask): Promise<ReplicaReplies['load']> {
    try {
      return await this.#load(task)
    } catch (error) {
      return failure(error)
    }
  }

  /** Releases the model. Never rejects: a failure is the reply. */
  async release(): Promise<ReplicaReplies['release']> {
    try {
      const model = this.#serving?.model
      this.#serving = undefined
      await model?.release?.()
      return { ok: true }
    } catch (error) {
      return failure(error)
    }
  }

  async #answer(task: PortTask): Promise<TaskAnswer> {
    try {
      const serving = this.#serving
      if (serving === undefined) {
        throw new errors.ERR_MODEL_UNAVAILABLE('this replica has no model', this.#owner)
      }
      if (task.kind === 'run') return await serving.runner.run(task, serving.background)
      return { reply: await serving.background.work(task), buffers: [] }
    } catch (error) {
      return { reply: failure(error), buffers: [] }
    }
  }

  async #load(task: LoadTask): Promise<LoadDone> {
    const [owner, lane] = [this.#owner, this.#lane]
    const isBuiltIn = task.loader === undefined
    const loadModel = await importLoader(task.loader, owner)
    try {
      const [loaded, files] = await loadBest(loadModel, task, {
        ...owner,
        native: (call) => lane.run(call),
        log: (level, message, fields) => this.#log.write(level, message, fields),
      })
      const model = isBuiltIn ? loaded : checkLoaded(loaded, owner)
      const runner = new PackRunner(model, isBuiltIn, owner, this.#counts, (run) => lane.begin(run))
      const reread = (): void => void checkContent(task.source, files, owner)
      const background = new BackgroundWorker(
        model.signature,
        (inputs, wanted) => runner.runOnce(inputs, wanted),
        isBuiltIn ? hazardsIn(task.source, model.signature, reread) : NO_HAZARDS,
      )
      this.#serving = { model, runner, background }
      if (isBuiltIn) lane.takesTurns &&= takesTurns(model.providers ?? [])
      const { signature, providers, skipped } = model
      return { ok: true, signature, files, ...(isBuiltIn ? { providers, skipped } : {}) }
    } catch (error) {
      throw asRuntimeError('ERR_MODEL_LOAD', `the loader of ${task.source} failed`, error, owner)
    }
  }
}
