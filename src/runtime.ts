import { parseOptions } from './config/parse-options.js'
import { closeSchema, type PredictOptions, type RuntimeConfig } from './config/runtime-options.js'
import { errors, isRuntimeError } from './errors/errors.js'
import { checkMemory } from './lifecycle/health/check-memory.js'
import { EventLoopCheck } from './lifecycle/health/event-loop-check.js'
import type { HealthReport } from './lifecycle/health/health-monitor.js'
import { LifecycleManager } from './lifecycle/lifecycle-manager.js'
import type { LifecycleState } from './lifecycle/state-machine.js'
import type { AllocatorStats } from './memory/allocator.js'
import type { BudgetStats } from './memory/memory-budget.js'
import type { DatedReading } from './memory/memory-meter.js'
import type { PoolEnding } from './models/context/ending-pools.js'
import { createContext, type ModelContext } from './models/context/model-context.js'
import type { Ports } from './models/context/ports.js'
import { type ModelInfo, ModelLifecycleManager } from './models/model-manager.js'
import type { Clock } from './platform/clock.js'
import { RequestTracker } from './requests/request-tracker.js'
import { checkResources } from './resources/check-resources.js'
import { ResourceLifecycleManager } from './resources/resource-manager.js'
import { type CloseReport, emitEvents, type RuntimeEvents, stuckEventOf } from './runtime-events.js'
import { Announcer } from './telemetry/announcer.js'
import { Emitter } from './telemetry/emitter.js'
import { EngineEvents } from './telemetry/events/engine-events.js'
import { ENGINE_EVENTS, type TransitionEvent } from './telemetry/events/event-map.js'
import type { Logger } from './telemetry/logger.js'
import type { ModelInput, Outputs } from './tensors/tensor.js'

/** Snapshot of a runtime. */
export interface RuntimeStats {
  readonly state: LifecycleState
  /** Milliseconds since the runtime was created. */
  readonly uptimeMs: number
  /** Every known version of every model. */
  readonly models: readonly ModelInfo[]
  readonly memory: MemoryStats
}

/** Memory of the process and budget of the models. */
export interface MemoryStats {
  /** Last measurement of the process; undefined before the first load. */
  readonly process: DatedReading | undefined
  readonly allocator: AllocatorStats
  readonly budget: BudgetStats
}

/** Time beyond the limit of pools and resources, which enforce that limit themselves, to end threads without work. */
const WIND_UP_MS = 2_000

/** A model-serving runtime inside this process, created by `createRuntime`. */
export class Runtime extends Emitter<RuntimeEvents> implements AsyncDisposable {
  /** Lifecycle of the application, to which shutdown handlers and health checks can be added. */
  readonly lifecycle: LifecycleManager
  /** Loads, swaps, unloads and lists models. */
  readonly models: ModelLifecycleManager
  /** Databases, caches and other resources of the application. */
  readonly resources: ResourceLifecycleManager
  /** Tracks every `predict` and the requests that the application begins. */
  readonly requests: RequestTracker
  readonly #events: EngineEvents
  readonly #context: ModelContext
  /** Aborts when the runtime stops admitting requests. */
  readonly #closing = new AbortController()
  readonly #clock: Clock
  readonly #startedAtMs: number
  #closingSinceMs = 0
  #poolEnding: PoolEnding = { rejected: 0, stuck: [] }
  #report: CloseReport | undefined

  private constructor(ports: Ports, config: RuntimeConfig, logger: Logger) {
    super(ENGINE_EVENTS)
    const { clock, random } = ports
    this.#clock = clock
    this.#startedAtMs = clock.now()
    this.requests = new RequestTracker({ logger }, clock)
    const announcer = new Announcer<RuntimeEvents>(clock, this, logger)
    this.#events = new EngineEvents(clock, logger)
    this.#events.subscribe(emitEvents(announcer, () => this.#report as CloseReport))
    this.#events.subscribe({ transition: (event) => this.#observe(event) })
    const { signal } = this.#closing
    this.#context = createContext(ports, config, logger, this.requests, signal, this.#events)
    this.models = new ModelLifecycleManager(this.#context)
    const { appName, logLevel, gracefulShutdownTimeoutMs, handleSignals } = config
    this.lifecycle = new LifecycleManager(
      {
        appName,
        logLevel,
        gracefulShutdownTimeoutMs,
        handleSignals,
        logger,
      },
      clock,
      this.#events,
    )
    this.resources = new ResourceLifecycleManager({ logger }, { clock, random, events: this.#events })
    this.#addSteps()
    this.#addHealthChecks()
  }

  /** Returns a runtime over `ports`, for simulations and tests; its startup has not begun. @internal */
  static over(ports: Ports, config: RuntimeConfig, logger: Logger): Runtime {
    return new Runtime(ports, config, logger)
  }

  /** Starts a runtime over `ports`; resolves when the configured models serve. @internal */
  static async start(ports: Ports, config: RuntimeConfig, logger: Logger): Promise<Runtime> {
    const runtime = Runtime.over(ports, config, logger)
    try {
      await runtime.lifecycle.startup()
    } catch (error) {
      // The only startup handler is the one that loads the models, so the caller gets its error.
      const { cause } = error as Error
      throw cause instanceof Error ? cause : error
    }
    return runtime
  }

  /** Current state of the runtime. */
  get state(): LifecycleState {
    return this.lifecycle.state
  }

  /**
   * Runs `input` through the active version of a model, or through `options.version`, and resolves with its outputs.
   * Rejects with the errors of {@link ModelLifecycleManager.predict}.
   */
  predict(name: string, input: ModelInput, options?: PredictOptions): Promise<Outputs> {
    return this.models.predict(name, input, options)
  }

  /** Returns a snapshot of all models and of the memory. */
  stats(): RuntimeStats {
    return {
      state: this.state,
      uptimeMs: this.#clock.now() - this.#startedAtMs,
      models: this.models.listModels(),
      memory: {
        process: this.#context.memory.last(),
        allocator: this.#context.allocator.stats(),
        budget: this.#context.memoryBudget.stats(),
      },
    }
  }

  /** Runs every health check, built in or added; never rejects. */
  health(): Promise<HealthReport> {
    return this.lifecycle.healthCheck()
  }

  /**
   * Refuses new requests, finishes the admitted ones, ends every thread, and runs the shutdown handlers that were
   * added to `lifecycle`. After `timeoutMs` (default: `gracefulShutdownTimeoutMs`) it rejects open requests with
   * ERR_RUNTIME_CLOSED and abandons replicas that are inside a run. All calls resolve with the report of the first.
   */
  async close(options: { timeoutMs?: number } = {}): Promise<CloseReport> {
    const { timeoutMs = this.lifecycle.gracefulShutdownTimeoutMs } = parseOptions(
      closeSchema,
      options,
      'close',
    )
    await this.lifecycle.stop('close', timeoutMs)
    return this.#report as CloseReport
  }

  /** Closes the runtime. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #addSteps(): void {
    const { lifecycle } = this
    lifecycle.addStartupHandler(({ signal }) => this.#startModels(signal), { name: 'models' })
    lifecycle.addShutdownStep(
      () => {
        this.#closing.abort()
      },
      { name: 'admission', phase: 'admission' },
      { isNeeded: () => false },
    )
    lifecycle.addShutdownStep(
      async ({ timeoutMs = 0 }) => {
        this.#poolEnding = await this.models.close(timeoutMs)
      },
      { name: 'pools', phase: 'drain' },
      { windUpMs: WIND_UP_MS },
    )
    lifecycle.addShutdownStep(
      ({ timeoutMs = 0 }) => this.resources.close({ timeoutMs }),
      { name: 'resources' },
      { isNeeded: () => this.resources.listResources().length > 0, windUpMs: WIND_UP_MS },
    )
  }

  #addHealthChecks(): void {
    const { lifecycle, models } = this
    lifecycle.addHealthCheck('models', () => models.checkModels())
    lifecycle.addHealthCheck('replicas', () => models.checkReplicas(), { critical: false })
    lifecycle.addHealthCheck('resources', () => checkResources(this.resources))
    lifecycle.addHealthCheck('memory', checkMemory, { critical: false })
    const loop = new EventLoopCheck()
    lifecycle.addHealthCheck('event-loop', () => loop.check(), { critical: false })
    lifecycle.addShutdownStep(
      () => loop.stop(),
      { name: 'event-loop check', phase: 'telemetry' },
      { isNeeded: () => false },
    )
    lifecycle.addShutdownStep(
      () => this.#context.logger.flush?.(),
      { name: 'logger', phase: 'telemetry' },
      { isNeeded: () => false },
    )
  }

  /** Loads the configured models. A shutdown meanwhile abandons the loads; its step `pools` ends their pools. */
  async #startModels(signal: AbortSignal): Promise<void> {
    const stopped = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => {
        this.#closing.abort()
        reject(signal.reason)
      })
    })
    await Promise.race([this.#load(), stopped])
  }

  async #load(): Promise<void> {
    const { config, logger } = this.#context
    for (const [modelType, module] of Object.entries(config.loaders)) {
      this.models.registerModelLoader(modelType, module)
    }
    const loads = config.models.map((model) => this.models.loadConfigured(model))
    const results: PromiseSettledResult<unknown>[] = await Promise.allSettled(loads)
    if (config.modelDir !== undefined) results.push(...(await this.models.loadRepository(config.modelDir)))
    for (const [index, result] of results.entries()) {
      if (result.status === 'fulfilled') continue
      const { reason } = result
      if (config.onLoadError === 'throw') throw reason
      logger.error({ err: reason }, 'model not loaded; the runtime starts without it')
      const name = config.models[index]?.name ?? (isRuntimeError(reason) ? reason.model : undefined)
      if (name !== undefined) this.models.recordMissing(name, reason)
    }
  }

  /** Measures the duration of a close, and publishes `closed` at its end. */
  #observe({ subject, to, cause }: TransitionEvent): void {
    if (subject.kind !== 'application') return
    if (to === 'stopping') this.#closingSinceMs = this.#clock.now()
    if (to !== 'stopped' && to !== 'error') return
    const durationMs = this.#clock.now() - this.#closingSinceMs
    this.#report = { durationMs, ...this.#poolEnding, failures: failuresOf(cause) }
    const stuck = this.#report.stuck.map(stuckEventOf)
    this.#events.publish('closed', { subject, ...this.#report, stuck })
  }
}

/** Returns the errors of the handlers of a failed shutdown. */
function failuresOf(cause: unknown): readonly Error[] {
  return cause instanceof errors.ERR_SHUTDOWN ? (cause.cause as AggregateError).errors : []
}
