import { errors } from '../../errors/errors.js'
import type { HoldLock } from '../context/locks.js'
import type { ModelVersion } from '../version/model-version.js'
import { Model } from './model.js'
import { without } from './routes.js'

/** Number of failed versions that stay known for the cause of their failure. */
const MAX_FAILED = 10

/** All models known to a runtime, by name. */
export class ModelRegistry {
  readonly #hold: HoldLock
  readonly #models = new Map<string, Model>()
  /** Configured models whose load failed at the start, by name, with the error. */
  readonly #missing = new Map<string, unknown>()
  /** Versions that are forgotten but not stopped yet. */
  readonly #stopping = new Set<ModelVersion>()
  /** Versions that an API call registered and that never loaded, in the order of their failures. */
  readonly #failed = new Set<ModelVersion>()

  constructor(hold: HoldLock) {
    this.#hold = hold
  }

  /** Returns the model `name`, which is created if necessary and removed once it has no versions and an idle lane. */
  ensure(name: string): Model {
    const existing = this.#models.get(name)
    if (existing !== undefined) return existing
    const model = new Model(name, this.#hold, (idle) => this.#dropUnused(idle))
    this.#models.set(name, model)
    return model
  }

  #dropUnused(model: Model): void {
    if (model.isEmpty && this.#models.get(model.name) === model) this.#models.delete(model.name)
  }

  /** Returns the model `name`. @throws ERR_MODEL_NOT_FOUND if it has no versions */
  require(name: string): Model {
    const model = this.#models.get(name)
    if (model !== undefined && !model.isEmpty) return model
    const names = [...this.#models.values()].filter((other) => !other.isEmpty).map((other) => other.name)
    throw new errors.ERR_MODEL_NOT_FOUND(
      `there is no model ${JSON.stringify(name)}; known: ${names.length === 0 ? 'none' : names.slice(0, 10).join(', ')}`,
      { model: name },
    )
  }

  /** Returns a version. @throws ERR_MODEL_NOT_FOUND, ERR_VERSION_NOT_FOUND */
  requireVersion(name: string, version: string): ModelVersion {
    const model = this.require(name)
    const found = model.find(version)
    if (found !== undefined) return found
    throw new errors.ERR_VERSION_NOT_FOUND(
      `model ${name} has no version ${JSON.stringify(version)}; known: ${model.labels}`,
      { model: name, version },
    )
  }

  /**
   * Returns the version that runs a request; `version` defaults to the active one.
   * @throws ERR_MODEL_NOT_FOUND, ERR_VERSION_NOT_FOUND, ERR_MODEL_UNAVAILABLE
   */
  resolve(name: string, version: string | undefined): ModelVersion {
    if (version !== undefined) return this.requireVersion(name, version)
    const active = this.#models.get(name)?.routes.active
    if (active !== undefined) return active
    const model = this.require(name)
    const failed = model.versions.find((candidate) => candidate.is('error'))
    throw new errors.ERR_MODEL_UNAVAILABLE(
      `model ${name} has no active version; load one, or promote one of: ${model.labels}`,
      { model: name, cause: failed?.cause },
    )
  }

  /**
   * Keeps a version that an API call registered and that could not be loaded, so that `listModels()` shows the cause.
   * Beyond `MAX_FAILED` of them it forgets the oldest.
   */
  keepFailed(version: ModelVersion): void {
    this.#failed.delete(version)
    this.#failed.add(version)
    const [oldest] = this.#failed
    if (this.#failed.size <= MAX_FAILED || oldest === undefined) return
    this.#failed.delete(oldest)
    const model = this.get(oldest.spec.name)
    const isFailed = oldest.is('error') && !oldest.isKept && model?.find(oldest.spec.version) === oldest
    if (!isFailed || model?.routes.active === oldest) return
    oldest.dispose('forgotten')
    this.forget(oldest)
  }

  /** Removes the version, so that no request finds it. A close still waits for it if it is stopping. */
  forget(version: ModelVersion): void {
    const { name } = version.spec
    const model = this.#models.get(name)
    if (!model?.remove(version)) return
    if (version.is('stopping')) {
      this.#stopping.add(version)
      void version.waitFor('stopped', 'error').then(() => this.#stopping.delete(version))
    }
    if (model.routes.active === version) this.#missing.delete(name)
    model.route(without(model.routes, version))
    if (model.lane.isIdle) this.#dropUnused(model)
  }

  /** Records that a configured model could not be loaded at the start. */
  recordMissing(name: string, cause: unknown): void {
    if (!this.#missing.has(name)) this.#missing.set(name, cause)
  }

  /** Returns the configured models that still have no active version, with the errors of their loads. */
  missing(): [name: string, cause: unknown][] {
    return [...this.#missing].filter(([name]) => this.#models.get(name)?.routes.active === undefined)
  }

  get(name: string): Model | undefined {
    return this.#models.get(name)
  }

  find(name: string, version: string): ModelVersion | undefined {
    return this.#models.get(name)?.find(version)
  }

  isActive(version: ModelVersion): boolean {
    return this.#models.get(version.spec.name)?.routes.active === version
  }

  get stopping(): readonly ModelVersion[] {
    return [...this.#stopping]
  }

  versions(): ModelVersion[] {
    return [...this.#models.values()].flatMap((model) => model.versions)
  }
}
