import { pathToFileURL } from 'node:url'
import {
  cleanupSchema,
  type HotSwapOptions,
  hotSwapSchema,
  type LoadModelOptions,
  loadModelSchema,
  logLevelSchema,
  modelNameSchema,
  type PredictOptions,
  parseOptions,
} from '../config.js'
import { errors } from '../errors.js'
import type { HealthAnswer } from '../lifecycle/health-check.js'
import type { LifecycleState } from '../lifecycle/states.js'
import type { Timer } from '../platform/clock.js'
import { within } from '../pools/within.js'
import type { LogLevel } from '../protocol/messages.js'
import type { ModelInput, Outputs, Signature } from '../tensors/tensor.js'
import { bringUp } from './bring-up.js'
import type { Catalogue, ModelEntry } from './catalogue.js'
import { closeAll } from './close-all.js'
import { coldStart } from './cold-start.js'
import { evictIdle, giveBack, idleLimitOf, type UnloadReport } from './eviction.js'
import { checkModels, checkReplicas } from './health.js'
import { hotSwap, type SwapOrder, type SwapResult } from './hot-swap.js'
import { ModelHandle } from './model-handle.js'
import type { ModelVersion } from './model-version.js'
import { Predictor } from './predictor.js'
import { promote } from './promotion.js'
import { exists, pathOf, registerRepository, registerVersion } from './registration.js'
import { resize } from './resize.js'
import { assertOpen, inBackground, type Serving } from './serving.js'
import type { PoolEnding } from './take-down.js'
import type { VersionStats } from './usage.js'

/** One line of `listModels()`. */
export interface ModelInfo {
  readonly name: string
  readonly version: string
  readonly state: LifecycleState
  /** Whether plain requests go to it. */
  readonly isActive: boolean
  readonly modelType: string
  readonly source: string
  /** Inputs and outputs; undefined before the first load. */
  readonly signature: Signature | undefined
  readonly stats: VersionStats
  /** Why it is in `error`. */
  readonly cause: unknown
}

/** Loads, swaps, unloads and evicts model versions, and takes requests for them. */
export class ModelLifecycleManager {
  readonly #serving: Serving
  readonly #catalogue: Catalogue
  readonly #predictor: Predictor
  readonly #idleTimer: Timer | undefined

  constructor(serving: Serving) {
    this.#serving = serving
    this.#catalogue = serving.catalogue
    this.#predictor = new Predictor(serving, (version, isPlain) => coldStart(serving, version, isPlain))
    const everyMs = serving.config.modelCleanupIntervalMs
    if (everyMs > 0) {
      this.#idleTimer = serving.scope.runInAsyncScope(() =>
        serving.clock.setInterval(() => inBackground(serving, this.#evictIdle(), 'an eviction'), everyMs),
      )
      this.#idleTimer.unref()
    }
  }

  /**
   * Runs `input` through a model's active version, or `options.version`. A cold version is
   * loaded first.
   * @throws ERR_MODEL_NOT_FOUND, ERR_VERSION_NOT_FOUND, ERR_INVALID_INPUT, ERR_INVALID_OPTIONS,
   * ERR_OVERLOADED, ERR_DEADLINE_EXCEEDED, ERR_ABORTED, ERR_INFERENCE, ERR_REPLICA_EXITED,
   * ERR_REPLICA_STUCK, ERR_MODEL_UNAVAILABLE, ERR_RUNTIME_CLOSED
   */
  predict(name: string, input: ModelInput, options?: PredictOptions): Promise<Outputs> {
    return this.#predictor.predict(name, input, options)
  }

  /**
   * Makes `module` the loader of all models of `modelType`. The module runs in the worker
   * threads and exports `load(context): Promise<LoadedModel>`.
   * @param module a file URL or an absolute path; a function cannot be sent to a thread.
   */
  registerModelLoader(modelType: string, module: URL | string): void {
    if (typeof modelType !== 'string' || modelType === '') {
      throw new errors.ERR_INVALID_OPTIONS('registerModelLoader: the model type is a non-empty string')
    }
    if (typeof module === 'function') {
      throw new errors.ERR_INVALID_OPTIONS(
        `registerModelLoader: the loader of ${JSON.stringify(modelType)} is a function, which cannot be sent to a worker thread; give the URL of a module that exports it as \`load\`, for example new URL('./loader.js', import.meta.url)`,
      )
    }
    if (typeof module !== 'string' && !(module instanceof URL)) {
      throw new errors.ERR_INVALID_OPTIONS('registerModelLoader: the module is a file URL or a path')
    }
    this.#serving.loaders.set(modelType, pathToFileURL(pathOf(module)).href)
  }

  /**
   * Loads a version. It becomes active if the model has no active one or `promote` is
   * set, else it stays `ready`. Resolves when its first replica serves; the others follow.
   * @throws ERR_VERSION_EXISTS, ERR_MODEL_LOAD, ERR_UNSUPPORTED_MODEL, ERR_WARMUP and, with
   * `promote`, what `hotSwapModel` throws.
   */
  loadModel(options: LoadModelOptions): Promise<ModelHandle> {
    return this.#loadModel(options, false)
  }

  /** As `loadModel`, of what the runtime is configured with: it stays known whether it can be loaded or not. @internal */
  loadConfigured(options: LoadModelOptions): Promise<ModelHandle> {
    return this.#loadModel(options, true)
  }

  async #loadModel(options: LoadModelOptions, isKept: boolean): Promise<ModelHandle> {
    const { promote: isPromoted, ...request } = parseOptions(loadModelSchema, options, 'loadModel')
    const { name, version: label, modelType } = request
    assertOpen(this.#serving)
    if (!this.#serving.loaders.has(modelType)) {
      throw new errors.ERR_INVALID_OPTIONS(
        `loadModel: \`modelType\` is ${JSON.stringify(modelType)}; known: ${[...this.#serving.loaders.keys()].join(', ')}`,
      )
    }
    const config = options.config === undefined ? undefined : request.config
    let version: ModelVersion | undefined
    const find = async (): Promise<ModelVersion> => {
      const known = this.#catalogue.find(name, label)
      if (known?.machine.is('ready', 'running')) throw exists(known)
      version = await registerVersion(this.#serving, { ...request, config })
      version.isKept ||= isKept
      return version
    }
    const entry = this.#catalogue.ensure(name)
    if (isPromoted && entry.active?.spec.version !== label) {
      await this.#swap(entry, { newVersion: label, trigger: 'loadModel', find })
    } else {
      await this.#inLane(entry, () => this.#load(entry, find))
    }
    // It is not looked up: a listener may have had it unloaded meanwhile.
    return this.#handle(version ?? this.#catalogue.requireVersion(name, label))
  }

  /**
   * Replaces the active version without losing a request; resolves when plain requests go
   * to `newVersion`, which is loaded first if it is cold or not known yet.
   * @throws ERR_SWAP_SUPERSEDED, ERR_ALREADY_ACTIVE, ERR_VERSION_CONFLICT, ERR_SIGNATURE_MISMATCH,
   * ERR_MODEL_NOT_FOUND, ERR_VERSION_NOT_FOUND, ERR_MODEL_LOAD; the active version is as before.
   */
  async hotSwapModel(options: HotSwapOptions): Promise<SwapResult> {
    const { newVersion, oldVersion, ...request } = parseOptions(hotSwapSchema, options, 'hotSwapModel')
    assertOpen(this.#serving)
    const entry = this.#catalogue.require(request.name)
    return this.#swap(entry, {
      newVersion,
      oldVersion,
      trigger: 'hotSwapModel',
      find: () => registerVersion(this.#serving, { ...request, version: newVersion }, entry.active?.spec),
    })
  }

  /** Swaps back to the version that was active before the present one. */
  async rollback(name: string): Promise<SwapResult> {
    parseOptions(modelNameSchema, name, 'rollback')
    assertOpen(this.#serving)
    const entry = this.#catalogue.require(name)
    const { previous } = entry
    if (previous === undefined) {
      throw new errors.ERR_VERSION_NOT_FOUND(`model ${name} has no earlier version to go back to`, {
        model: name,
      })
    }
    return this.#swap(entry, {
      newVersion: previous,
      trigger: 'rollback',
      find: async () => this.#catalogue.requireVersion(name, previous),
    })
  }

  /**
   * Answers what was admitted, ends the threads and forgets the version, or the whole
   * model. From the moment it is its turn among the changes of the model, new requests are refused.
   * @throws ERR_MODEL_NOT_FOUND, ERR_VERSION_NOT_FOUND
   */
  async unloadModel(name: string, version?: string): Promise<UnloadReport> {
    parseOptions(modelNameSchema, name, 'unloadModel')
    const entry = this.#catalogue.require(name)
    if (version !== undefined) this.#catalogue.requireVersion(name, version)
    const { report, targets } = await this.#inLane(entry, async () => {
      const targets =
        version === undefined ? [...entry.versions.values()] : [this.#catalogue.requireVersion(name, version)]
      const served: ModelVersion[] = []
      for (const target of targets) {
        this.#serving.clock.clear(target.standbyTimer)
        if (target.machine.is('ready', 'running', 'error') && target.pool !== undefined) {
          target.machine.to('stopping', 'unloadModel')
          served.push(target)
        } else if (target.machine.is('uninitialized', 'error')) {
          target.machine.to('stopped', 'unloadModel')
        }
        this.#catalogue.forget(target)
      }
      return { ...(await giveBack(this.#serving, name, served, 'unloadModel')), targets }
    })
    await Promise.all(targets.map((target) => target.machine.waitFor('stopped')))
    return report
  }

  /** Takes the pools of all versions away that nobody has used for `maxAgeMs`; they stay known, cold. */
  async cleanupUnusedModels(options: { maxAgeMs: number }): Promise<UnloadReport[]> {
    const { maxAgeMs } = parseOptions(cleanupSchema, options, 'cleanupUnusedModels')
    assertOpen(this.#serving)
    const { scope } = this.#serving
    return scope.runInAsyncScope(() => evictIdle(this.#serving, () => maxAgeMs, 'cleanupUnusedModels'))
  }

  /** That version, by default the active one; undefined if there is none. */
  getModel(name: string, version?: string): ModelHandle | undefined {
    const entry = this.#catalogue.get(name)
    const found = version === undefined ? entry?.active : entry?.versions.get(version)
    return found === undefined ? undefined : this.#handle(found)
  }

  /** Every known version of every model. */
  listModels(): ModelInfo[] {
    return this.#catalogue.versions().map((version) => ({
      name: version.spec.name,
      version: version.spec.version,
      state: version.machine.state,
      isActive: this.#catalogue.get(version.spec.name)?.active === version,
      modelType: version.spec.modelType,
      source: version.spec.source,
      signature: version.signature,
      stats: version.stats(this.#serving.clock.originMs),
      cause: version.machine.is('error') ? version.machine.cause : undefined,
    }))
  }

  /** Whether every active version can answer. @internal */
  checkModels(): HealthAnswer {
    return checkModels(this.#catalogue)
  }

  /** Whether every replica is there and none in quarantine. @internal */
  checkReplicas(): HealthAnswer {
    return checkReplicas(this.#catalogue)
  }

  /** Sets the level below which replicas send no log lines. */
  async setLogLevel(level: LogLevel): Promise<void> {
    this.#serving.logLevel = parseOptions(logLevelSchema, level, 'setLogLevel')
    const hosts = this.#catalogue.versions().flatMap((version) => version.pool?.hosts ?? [])
    // A replica that is gone needs no level, one inside a run takes it when it comes out.
    const told = Promise.allSettled(hosts.map((host) => host.control?.setLogLevel(level)))
    await within(this.#serving.clock, told, this.#serving.config.controlTimeoutMs)
  }

  /**
   * Makes everything in the model directory known and loads the latest version of each
   * model that has no active one.
   * @internal
   */
  async loadRepository(modelDir: string | URL): Promise<PromiseSettledResult<unknown>[]> {
    const { latest, problems } = await registerRepository(this.#serving, pathOf(modelDir))
    const loads: Promise<unknown>[] = problems.map((problem) => Promise.reject(problem))
    for (const [name, version] of latest) loads.push(this.loadModel({ name, version }))
    return Promise.allSettled(loads)
  }

  /**
   * Ends every pool; requests that are not answered within `timeoutMs` are rejected with
   * ERR_RUNTIME_CLOSED.
   * @internal
   */
  async close(timeoutMs: number): Promise<PoolEnding> {
    this.#serving.clock.clear(this.#idleTimer)
    // Not in the middle of a promotion, one of whose listeners may have called this.
    await Promise.resolve()
    const ending = closeAll(this.#serving, timeoutMs)
    this.#predictor.close()
    return ending
  }

  async #load(entry: ModelEntry, find: () => Promise<ModelVersion>): Promise<void> {
    assertOpen(this.#serving)
    const version = await find()
    await bringUp(this.#serving, version, 'loadModel')
    assertOpen(this.#serving)
    const { active } = entry
    if (active === undefined || active === version || active.machine.is('error')) {
      await promote(this.#serving, entry, version, 'loadModel')
    }
  }

  #swap(entry: ModelEntry, order: SwapOrder): Promise<SwapResult> {
    return this.#serving.scope.runInAsyncScope(() => hotSwap(this.#serving, entry, order))
  }

  /** Shared work never runs in the context of the request or caller that started it. */
  #inLane<T>(entry: ModelEntry, work: () => Promise<T>): Promise<T> {
    return this.#serving.scope.runInAsyncScope(() => entry.lane.add(work))
  }

  async #evictIdle(): Promise<void> {
    await evictIdle(this.#serving, (version) => idleLimitOf(this.#serving, version), 'idle')
  }

  #handle(version: ModelVersion): ModelHandle {
    const { clock, config } = this.#serving
    const predict = this.#predictor.predict.bind(this.#predictor)
    const resizeVersion = ({ spec }: ModelVersion, replicas: number | 'auto'): Promise<void> =>
      resize(this.#serving, spec, replicas)
    return new ModelHandle(version, predict, resizeVersion, clock, config.controlTimeoutMs)
  }
}
