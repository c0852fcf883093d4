import { EventEmitter } from 'node:events'
import { isMainThread } from 'node:worker_threads'
import {
  closeSchema,
  type PredictOptions,
  parseOptions,
  type RuntimeConfig,
  type RuntimeConfigInput,
  runtimeSchema,
} from './config.js'
import { errors } from './errors.js'
import { type LifecycleState, StateMachine } from './lifecycle/states.js'
import { type ModelInfo, ModelLifecycleManager } from './models/model-manager.js'
import { createServing, type Serving, type ServingEvents } from './models/serving.js'
import type { StuckReplica } from './pools/replica.js'
import { createLogger, type Logger } from './telemetry/logger.js'
import type { ModelInput, Outputs } from './tensors/tensor.js'

export interface RuntimeOptions extends RuntimeConfigInput {
  /** Where log lines go, for example the host's pino logger; by default one of our own, on stderr. */
  logger?: Logger
}

/** What `runtime` emits. */
export interface RuntimeEvents extends ServingEvents {
  closed: [report: CloseReport]
}

export interface RuntimeStats {
  readonly state: LifecycleState
  readonly uptimeMs: number
  readonly models: readonly ModelInfo[]
}

export interface CloseReport {
  readonly durationMs: number
  /** Requests that were not answered before the deadline and were rejected. */
  readonly rejected: number
  /** Replicas whose run had not returned; their threads are left to themselves. */
  readonly stuck: readonly StuckReplica[]
}

/** A model-serving runtime inside this process. Made by `createRuntime`. */
export class Runtime extends EventEmitter<RuntimeEvents> implements AsyncDisposable {
  readonly models: ModelLifecycleManager
  readonly #serving: Serving
  readonly #machine: StateMachine
  readonly #startedAtMs = performance.now()
  #closing: Promise<CloseReport> | undefined

  private constructor(config: RuntimeConfig, logger: Logger) {
    super()
    this.#serving = createServing(config, logger, (event, payload) => this.#tell(event, payload))
    this.#machine = new StateMachine('runtime', (transition) => {
      const { component, from, to, trigger } = transition
      logger.info({ component, from, to, trigger }, 'transition')
      this.#tell('transition', transition)
    })
    this.models = new ModelLifecycleManager(this.#serving)
  }

  /** @internal */
  static async create(options: RuntimeOptions): Promise<Runtime> {
    const { logger: given, ...input } = options
    const config = Object.freeze(parseOptions(runtimeSchema, input, 'createRuntime'))
    if (!isMainThread && !config.allowWorkerThread) {
      throw new errors.ERR_INVALID_OPTIONS(
        'createRuntime: this is a worker thread, where no exit hook keeps a terminate() from aborting the process; create the runtime on the main thread, or pass allowWorkerThread: true',
      )
    }
    // Before the first replica, and here: native code does not see a worker's environment.
    process.env.ORT_DISABLE_TELEMETRY ??= '1'
    const runtime = new Runtime(config, given ?? createLogger(config.appName, config.logLevel))
    await runtime.#start()
    return runtime
  }

  get state(): LifecycleState {
    return this.#machine.state
  }

  /**
   * Runs `input` through the active version of a model and resolves with its outputs.
   * See {@link ModelLifecycleManager.predict} for what it rejects with.
   */
  predict(name: string, input: ModelInput, options?: PredictOptions): Promise<Outputs> {
    return this.models.predict(name, input, options)
  }

  stats(): RuntimeStats {
    return {
      state: this.state,
      uptimeMs: performance.now() - this.#startedAtMs,
      models: this.models.listModels(),
    }
  }

  /**
   * Refuses new requests, answers the admitted ones, ends every thread. Past `timeoutMs`
   * (default `gracefulShutdownTimeoutMs`) callers are rejected with ERR_RUNTIME_CLOSED and a
   * replica inside a run is left to itself. Idempotent: all calls get the first one's report.
   */
  close(options: { timeoutMs?: number } = {}): Promise<CloseReport> {
    if (this.#closing === undefined) {
      let timeoutMs: number
      try {
        timeoutMs =
          parseOptions(closeSchema, options, 'close').timeoutMs ??
          this.#serving.config.gracefulShutdownTimeoutMs
      } catch (error) {
        return Promise.reject(error)
      }
      this.#closing = this.#serving.scope.runInAsyncScope(() => this.#close(timeoutMs))
    }
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #start(): Promise<void> {
    const { config, logger } = this.#serving
    this.#machine.to('initializing', 'createRuntime')
    try {
      for (const [modelType, module] of Object.entries(config.loaders)) {
        this.models.registerModelLoader(modelType, module)
      }
      const loads = config.models.map((model) => this.models.loadModel(model))
      const results: PromiseSettledResult<unknown>[] = await Promise.allSettled(loads)
      if (config.modelDir !== undefined) results.push(...(await this.models.loadRepository(config.modelDir)))
      for (const result of results) {
        if (result.status === 'fulfilled') continue
        if (config.onLoadError === 'throw') throw result.reason
        logger.error({ err: result.reason }, 'a model could not be loaded and is left out')
      }
      this.#machine.to('ready', 'createRuntime')
      this.#machine.to('starting', 'createRuntime')
      this.#machine.to('running', 'createRuntime')
    } catch (error) {
      this.#machine.to('error', 'createRuntime', error)
      await this.close()
      throw error
    }
  }

  async #close(timeoutMs: number): Promise<CloseReport> {
    const startedAt = performance.now()
    this.#machine.to('stopping', 'close')
    this.#serving.isOpen = false
    const ending = await this.models.close(timeoutMs)
    const report: CloseReport = { durationMs: performance.now() - startedAt, ...ending }
    this.#machine.to('stopped', 'close')
    this.#tell('closed', report)
    return report
  }

  /** A listener that throws must not break what is under way: its error surfaces on its own. */
  #tell<K extends keyof RuntimeEvents>(event: K, payload: RuntimeEvents[K][0]): void {
    try {
      ;(this as EventEmitter).emit(event, payload)
    } catch (error) {
      process.nextTick(() => {
        throw error
      })
    }
  }
}

/**
 * Starts a runtime; resolves once the configured models serve.
 * @throws ERR_INVALID_OPTIONS, ERR_INVALID_MANIFEST, ERR_MODEL_LOAD and what else `loadModel` throws;
 * what had been started is stopped again.
 */
export function createRuntime(options: RuntimeOptions = {}): Promise<Runtime> {
  return Runtime.create(options)
}
