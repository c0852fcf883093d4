import { pathToFileURL } from 'node:url'
import { withTimeout } from '../async/with-timeout.js'
import { parseOptions } from '../config/parse-options.js'
import {
  cleanupSchema,
  type HotSwapOptions,
  hotSwapSchema,
  type LoadModelOptions,
  loadModelSchema,
  logLevelSchema,
  modelNameSchema,
  type PredictOptions,
} from '../config/runtime-options.js'
import { errors } from '../errors/errors.js'
import type { HealthAnswer } from '../lifecycle/health/health-check.js'
import type { LifecycleState } from '../lifecycle/state-machine.js'
import type { Timer } from '../platform/clock.js'
import type { LogLevel } from '../protocol/replica/log-line.js'
import { inBackground } from '../telemetry/in-background.js'
import type { ModelInput, Outputs, Signature } from '../tensors/tensor.js'
import { checkModels, checkReplicas } from './check-models.js'
import type { PoolEnding } from './context/ending-pools.js'
import { assertOpen, type ModelContext } from './context/model-context.js'
import { ModelHandle } from './model-handle.js'
import { Predictor } from './predictor.js'
import type { Model } from './registry/model.js'
import { ModelRegistry } from './registry/model-registry.js'
import { pathOf, VersionRegistration, versionExists } from './registry/version-registration.js'
import { resize } from './resize.js'
import { ColdStarts } from './rollout/cold-starts.js'
import { hotSwap, type SwapOrder, type SwapResult } from './rollout/hot-swap.js'
import { promote } from './rollout/promotion.js'
import { closeModels } from './unloading/close-models.js'
import { Evictor } from './unloading/evictor.js'
import { type UnloadReport, unload } from './unloading/unload.js'
import type { ModelVersion } from './version/model-version.js'
import type { VersionStats } from './version/version-stats.js'

/** A known version of a model, as `listModels()` returns it. */
export interface ModelInfo {
  /** Name of the model. */
  readonly name: string
  /** Label of the version. */
  readonly version: string
  readonly state: LifecycleState
  /** True if requests that name no version go to this one. */
  readonly isActive: boolean
  /** Type of the model, which selects its loader; `onnx` is built in. */
  readonly modelType: string
  /** Absolute path of the model's file or folder. */
  readonly source: string
  /** Inputs and outputs; undefined before the first load. */
  readonly signature: Signature | undefined
  readonly stats: VersionStats
  /** The error behind the state `error`; undefined in other states. */
  readonly cause: unknown
}

/** Loads, swaps, unloads and evicts model versions, and runs requests on them. */
export class ModelLifecycleManager {
  readonly #context: ModelContext
  readonly #registry: ModelRegistry
  readonly #evictor: Evictor
  readonly #registration: VersionRegistration
  readonly #predictor: Predictor
  readonly #idleTimer: Timer | undefined

  constructor(context: ModelContext) {
    this.#context = context
    this.#registry = new ModelRegistry(context.hold)
    this.#evictor = new Evictor(context, this.#registry)
    this.#registration = new VersionRegistration(context, this.#registry, this.#evictor)
    this.#predictor = new Predictor(context, this.#registry, new ColdStarts(context, this.#registry))
    const { clock, config, scope } = context
    if (config.modelCleanupIntervalMs > 0) {
      const evict = (): void => inBackground(context, this.#evictor.evictIdle('idle'), 'eviction')
      this.#idleTimer = scope.runInAsyncScope(() => clock.setInterval(evict, config.modelCleanupIntervalMs))
      this.#idleTimer.unref()
    }
  }

  /**
   * Runs `input` through the active version of a model, or through `options.version`, and resolves with its outputs.
   * A cold version is loaded first.
   * @throws ERR_MODEL_NOT_FOUND, ERR_VERSION_NOT_FOUND, ERR_INVALID_INPUT, ERR_INVALID_OPTIONS,
   * ERR_OVERLOADED, ERR_DEADLINE_EXCEEDED, ERR_ABORTED, ERR_INFERENCE, ERR_REPLICA_EXITED,
   * ERR_REPLICA_STUCK, ERR_MODEL_UNAVAILABLE, ERR_RUNTIME_CLOSED
   */
  predict(name: string, input: ModelInput, options?: PredictOptions): Promise<Outputs> {
    return this.#predictor.predict(name, input, options)
  }

  /**
   * Sets the loader for all models of `modelType`. The module runs in the worker threads and exports
   * `load(context): Promise<LoadedModel>`.
   * @param module is a file URL or a path; a function cannot be sent to a thread.
   * @throws ERR_INVALID_OPTIONS
   */
  registerModelLoader(modelType: string, module: URL | string): void {
    if (typeof modelType !== 'string' || modelType === '') {
      throw new errors.ERR_INVALID_OPTIONS('registerModelLoader: the model type must be a non-empty string')
    }
    if (typeof module === 'function') {
      throw new errors.ERR_INVALID_OPTIONS(
        `registerModelLoader: the loader of ${JSON.stringify(modelType)} is a function, which cannot be sent to a worker thread; pass the URL of a module that exports it as \`load\`, for example new URL('./loader.js', import.meta.url)`,
      )
    }
    if (typeof module !== 'string' && !(module instanceof URL)) {
      throw new errors.ERR_INVALID_OPTIONS('registerModelLoader: the module must be a file URL or a path')
    }
    this.#context.loaders.set(modelType, pathToFileURL(pathOf(module)).href)
  }

  /**
   * Loads a version. It becomes active if the model has no active version or if `promote` is set; otherwise it stays
   * `ready`. Resolves when its first replica serves; the other replicas follow.
   * @throws ERR_INVALID_OPTIONS, ERR_VERSION_EXISTS, ERR_MODEL_LOAD, ERR_UNSUPPORTED_MODEL, ERR_WARMUP,
   * ERR_INSUFFICIENT_MEMORY, ERR_RUNTIME_CLOSED and, with `promote`, the errors of `hotSwapModel`
   */
  loadModel(options: LoadModelOptions): Promise<ModelHandle> {
    return this.#loadModel(options, false)
  }

  /** Loads a configured version like `loadModel`; it stays known even if its load fails. @internal */
  loadConfigured(options: LoadModelOptions): Promise<ModelHandle> {
    return this.#loadModel(options, true)
  }

  async #loadModel(options: LoadModelOptions, isKept: boolean): Promise<ModelHandle> {
    const { promote: isPromoted, ...request } = parseOptions(loadModelSchema, options, 'loadModel')
    const { name, version: label, modelType } = request
    assertOpen(this.#context)
    if (!this.#context.loaders.has(modelType)) {
      throw new errors.ERR_INVALID_OPTIONS(
        `loadModel: there is no loader for \`modelType\` ${JSON.stringify(modelType)}; known: ${[...this.#context.loaders.keys()].join(', ')}`,
      )
    }
    const config = options.config === undefined ? undefined : request.config
    let version: ModelVersion | undefined
    const find = async (): Promise<ModelVersion> => {
      const existing = this.#registry.find(name, label)
      if (existing?.isServing) throw versionExists(existing)
      const found = await this.#registration.register({ ...request, config })
      if (isKept) found.keep(true)
      version = found
      return found
    }
    const model = this.#registry.ensure(name)
    if (isPromoted && model.routes.active?.spec.version !== label) {
      await this.#swap(model, { newVersion: label, trigger: 'loadModel', find })
    } else {
      await this.#inLane(model, () => this.#load(model, find))
    }
    // A lookup would fail if a listener has unloaded the version meanwhile.
    return this.#handle(version ?? this.#registry.requireVersion(name, label))
  }

  /**
   * Replaces the active version without losing a request. `newVersion` is loaded first if it is cold or not known
   * yet. Resolves when requests that name no version go to it. If the swap fails, the active version is as before.
   * @throws ERR_INVALID_OPTIONS, ERR_SWAP_SUPERSEDED, ERR_ALREADY_ACTIVE, ERR_VERSION_CONFLICT,
   * ERR_SIGNATURE_MISMATCH, ERR_MODEL_NOT_FOUND, ERR_VERSION_NOT_FOUND, ERR_MODEL_LOAD, ERR_RUNTIME_CLOSED
   */
  async hotSwapModel(options: HotSwapOptions): Promise<SwapResult> {
    const { newVersion, oldVersion, ...request } = parseOptions(hotSwapSchema, options, 'hotSwapModel')
    assertOpen(this.#context)
    const model = this.#registry.require(request.name)
    return this.#swap(model, {
      newVersion,
      oldVersion,
      trigger: 'hotSwapModel',
      find: () => this.#registration.register({ ...request, version: newVersion }, model.routes.active?.spec),
    })
  }

  /** Swaps back to the version that was active before. @throws ERR_VERSION_NOT_FOUND, or as `hotSwapModel` */
  async rollback(name: string): Promise<SwapResult> {
    parseOptions(modelNameSchema, name, 'rollback')
    assertOpen(this.#context)
    const model = this.#registry.require(name)
    const { previous } = model.routes
    if (previous === undefined) {
      throw new errors.ERR_VERSION_NOT_FOUND(`model ${name} has no earlier version; use hotSwapModel`, {
        model: name,
      })
    }
    return this.#swap(model, {
      newVersion: previous,
      trigger: 'rollback',
      find: async () => this.#registry.requireVersion(name, previous),
    })
  }

  /**
   * Drains a version, ends its threads and forgets it; without `version`, all versions of the model. It waits for
   * changes of the model that are under way, and refuses new requests from then on. Resolves when the threads have
   * ended or are reported as stuck.
   * @throws ERR_MODEL_NOT_FOUND, ERR_VERSION_NOT_FOUND
   */
  async unloadModel(name: string, version?: string): Promise<UnloadReport> {
    parseOptions(modelNameSchema, name, 'unloadModel')
    const model = this.#registry.require(name)
    if (version !== undefined) this.#registry.requireVersion(name, version)
    const { report, targets } = await this.#inLane(model, async () => {
      const targets = version === undefined ? model.versions : [this.#registry.requireVersion(name, version)]
      const served = targets.filter((target) => target.isServing)
      const { empty, report } = unload(this.#context, name, served, 'unloadModel')
      for (const target of targets) {
        target.dispose('unloadModel')
        this.#registry.forget(target)
      }
      await empty
      return { report, targets }
    })
    await Promise.all(targets.map((target) => target.waitFor('stopped')))
    return report
  }

  /** Evicts all versions that were unused for `maxAgeMs`; they stay known, and load again with the next request. */
  async cleanupUnusedModels(options: { maxAgeMs: number }): Promise<UnloadReport[]> {
    const { maxAgeMs } = parseOptions(cleanupSchema, options, 'cleanupUnusedModels')
    assertOpen(this.#context)
    const { scope } = this.#context
    return scope.runInAsyncScope(() => this.#evictor.evictUnused(maxAgeMs, 'cleanupUnusedModels'))
  }

  /** Returns the handle of a version; undefined if it is not known. `version` defaults to the active one. */
  getModel(name: string, version?: string): ModelHandle | undefined {
    const model = this.#registry.get(name)
    const found = version === undefined ? model?.routes.active : model?.find(version)
    return found === undefined ? undefined : this.#handle(found)
  }

  /** Returns every known version of every model. */
  listModels(): ModelInfo[] {
    return this.#registry.versions().map((version) => ({
      name: version.spec.name,
      version: version.spec.version,
      state: version.state,
      isActive: this.#registry.isActive(version),
      modelType: version.spec.modelType,
      source: version.spec.source,
      signature: version.record.facts.signature,
      stats: version.stats(),
      cause: version.is('error') ? version.cause : undefined,
    }))
  }

  /** Records that a configured model could not be loaded at the start. @internal */
  recordMissing(name: string, cause: unknown): void {
    this.#registry.recordMissing(name, cause)
  }

  /** Checks that every active version can run requests. @internal */
  checkModels(): HealthAnswer {
    return checkModels(this.#registry)
  }

  /** Checks that every pool has all its replicas and that none is in quarantine. @internal */
  checkReplicas(): HealthAnswer {
    return checkReplicas(this.#registry)
  }

  /** Sets the minimum log level of replicas, also of those that start later. @throws ERR_INVALID_OPTIONS */
  async setLogLevel(level: LogLevel): Promise<void> {
    this.#context.logLevel = parseOptions(logLevelSchema, level, 'setLogLevel')
    const hosts = this.#registry.versions().flatMap((version) => version.pool?.hosts ?? [])
    // A replica that has exited needs no level; one inside a run applies it after the run.
    const updates = Promise.allSettled(hosts.map((host) => host.setLogLevel(level)))
    await withTimeout(this.#context.clock, updates, this.#context.config.controlTimeoutMs)
  }

  /** Registers all versions in `modelDir`, and loads the latest of each model without an active one. @internal */
  async loadRepository(modelDir: string | URL): Promise<PromiseSettledResult<unknown>[]> {
    const { latest, problems } = await this.#registration.registerRepository(pathOf(modelDir))
    const loads: Promise<unknown>[] = problems.map((problem) => Promise.reject(problem))
    for (const [name, version] of latest) loads.push(this.loadModel({ name, version }))
    return Promise.allSettled(loads)
  }

  /** Ends every pool; rejects requests that are open after `timeoutMs` with ERR_RUNTIME_CLOSED. @internal */
  async close(timeoutMs: number): Promise<PoolEnding> {
    this.#context.clock.clear(this.#idleTimer)
    // A listener may call this in the middle of a promotion, which must finish first.
    await Promise.resolve()
    const ending = closeModels(this.#context, this.#registry, timeoutMs)
    this.#predictor.close()
    return ending
  }

  async #load(model: Model, find: () => Promise<ModelVersion>): Promise<void> {
    assertOpen(this.#context)
    const version = await find()
    await version.load('loadModel')
    assertOpen(this.#context)
    const { active } = model.routes
    if (active === undefined || active === version || active.is('error')) {
      await promote(this.#context, model, version, 'loadModel')
    }
  }

  #swap(model: Model, order: SwapOrder): Promise<SwapResult> {
    return this.#context.scope.runInAsyncScope(() => hotSwap(this.#context, model, order))
  }

  /** Runs `work` in the lane of the model, outside the asynchronous context of the caller. */
  #inLane<T>(model: Model, work: () => Promise<T>): Promise<T> {
    return this.#context.scope.runInAsyncScope(() => model.lane.run(work))
  }

  #handle(version: ModelVersion): ModelHandle {
    const { clock, config } = this.#context
    const predict = this.#predictor.predict.bind(this.#predictor)
    const resizeVersion = ({ spec }: ModelVersion, replicas: number | 'auto'): Promise<void> =>
      resize(this.#context, this.#registry, spec, replicas)
    return new ModelHandle(version, predict, resizeVersion, clock, config.controlTimeoutMs)
  }
}
