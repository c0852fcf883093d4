import { AsyncResource } from 'node:async_hooks'
import type { HostOrder } from '../../src/models/context/ports.js'
import { asRuntimeError } from '../../src/protocol/error-codec.js'
import { failure } from '../../src/protocol/failure.js'
import type { LoadedModel, LoaderContext } from '../../src/protocol/loader.js'
import type { LogLevel } from '../../src/protocol/replica/log-line.js'
import type { LoadTask, ReplicaTask } from '../../src/protocol/replica/replica-task.js'
import { type Reply, ThreadlessHost, type ThreadlessTask } from '../../src/testing/threadless-host.js'
import { BackgroundWorker, NO_HAZARDS } from '../../workers/replica/background-worker.js'
import { checkLoaded } from '../../workers/replica/check-loaded.js'
import { PackRunner } from '../../workers/replica/pack-runner.js'
import { ReplicaLog } from '../../workers/replica/replica-log.js'

/** The thread that a simulated loader runs in. */
export interface SimulatedContext extends LoaderContext {
  /** Ends the thread as `process.exit` does, and never resolves. */
  exit(code: number): Promise<never>
  /** Ends the thread by an error that no code catches. */
  crash(error: Error): void
}

/** A loader that runs in this thread, at the place of a loader's module or of the built-in loader. */
export type SimulatedLoader = (context: SimulatedContext) => Promise<LoadedModel>

/** The part of the machine that its threads use. */
export interface ThreadSurroundings {
  /** Returns the loader that a task names. */
  loaderOf(task: LoadTask): SimulatedLoader
  /** Resolves in a turn of its own, as messages between threads arrive. */
  turn(): Promise<void>
}

/**
 * A replica without a thread, which runs a loader's model with the code that runs it in a thread. It can be ended
 * wherever a thread can: between tasks and in JavaScript, but in the middle of a native call only after that.
 */
export class SimulatedThread extends ThreadlessHost {
  readonly order: HostOrder
  readonly #surroundings: ThreadSurroundings
  /** What a thread reports comes in the context of its start, not in that of the request it runs. */
  readonly #scope = new AsyncResource('SimulatedThread')
  readonly #log: ReplicaLog
  #nativeCalls = 0
  #model: LoadedModel | undefined
  #runner: PackRunner | undefined
  #background: BackgroundWorker | undefined

  constructor(order: HostOrder, threadId: number, surroundings: ThreadSurroundings) {
    const { model, version } = order
    // A thread may not be ended in the middle of a native call.
    super({ model, version, threadId, logLevel: order.logLevel() }, false)
    this.order = order
    this.#surroundings = surroundings
    this.#log = new ReplicaLog(order.logLevel(), (line) => order.onLog(line))
  }

  protected override begin(task: ThreadlessTask): void {
    this.#scope.runInAsyncScope(() => void this.#serve(task))
  }

  override terminate(): Promise<void> {
    const gone = super.terminate()
    if (!this.isGone && this.#nativeCalls === 0) this.exit()
    return gone
  }

  override async setLogLevel(level: LogLevel): Promise<void> {
    await super.setLogLevel(level)
    this.#log.level = level
  }

  /** The thread dies at once, whatever it is doing. */
  die(why?: Error): void {
    if (!this.isGone) this.#scope.runInAsyncScope(() => this.exit(why))
  }

  async #serve(task: ThreadlessTask): Promise<void> {
    await this.#surroundings.turn()
    if (this.task !== task) return
    const reply = await this.#replyTo(task.message).catch(failure)
    await this.#surroundings.turn()
    if (this.task === task) task.reply(reply)
  }

  async #replyTo(message: ReplicaTask): Promise<Reply> {
    if (message.kind === 'load') return this.#load(message)
    if (message.kind === 'release') {
      await this.#model?.release?.()
      return { ok: true }
    }
    const [runner, background] = [this.#runner, this.#background]
    if (runner === undefined || background === undefined) throw new Error('this thread holds no model')
    if (message.kind === 'background') return background.work(message)
    const { reply, buffers } = await runner.run(message, background)
    return structuredClone(reply, { transfer: buffers })
  }

  async #load(task: LoadTask): Promise<Reply> {
    const { model, version } = this.order
    const subject = { model, version }
    const isBuiltIn = task.loader === undefined
    try {
      const loaded = await this.#surroundings.loaderOf(task)(this.#contextOf(task))
      this.#model = this.#mortal(isBuiltIn ? loaded : checkLoaded(loaded, subject))
      const begin = (run: number): void => {
        this.progress = run
      }
      const runner = new PackRunner(this.#model, isBuiltIn, subject, this.counts, begin)
      const runOnce: PackRunner['runOnce'] = (inputs, wanted) => runner.runOnce(inputs, wanted)
      this.#runner = runner
      this.#background = new BackgroundWorker(this.#model.signature, runOnce, NO_HAZARDS)
      return { ok: true, signature: this.#model.signature }
    } catch (error) {
      throw asRuntimeError('ERR_MODEL_LOAD', `the loader of ${task.source} failed`, error, subject)
    }
  }

  #contextOf({ source, sessionOptions, loaderOptions }: LoadTask): SimulatedContext {
    const { model, version } = this.order
    return {
      model,
      version,
      source,
      sessionOptions,
      loaderOptions,
      native: (call) => this.#native(call),
      log: (level, message, fields) => this.#log.write(level, message, fields),
      exit: (code) => {
        this.die(new Error(`the thread exited with code ${code}`))
        return never()
      },
      crash: (error) => this.die(error),
    }
  }

  /** A thread that is to end does so as soon as it is outside of native code. */
  async #native<T>(call: () => T | Promise<T>): Promise<T> {
    if (this.isGone) return never()
    this.#nativeCalls += 1
    try {
      return await call()
    } finally {
      this.#nativeCalls -= 1
      if (this.isTerminated && this.#nativeCalls === 0) this.die()
      // Nothing runs in a thread that is gone.
      if (this.isGone) await never()
    }
  }

  /** Returns the model as it is in a thread, where nothing goes on after the end. */
  #mortal({ run, ...model }: LoadedModel): LoadedModel {
    return {
      ...model,
      run: async (feeds, wanted) => {
        if (this.isGone) return never()
        const outputs = await run(feeds, wanted)
        return this.isGone ? never() : outputs
      },
    }
  }
}

function never(): Promise<never> {
  return new Promise(() => undefined)
}
