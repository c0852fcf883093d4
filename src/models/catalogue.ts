import PQueue from 'p-queue'
import { errors } from '../errors.js'
import type { ModelVersion } from './model-version.js'
import type { SwapTicket } from './swap-ticket.js'

/** Versions that are kept for the cause of their failure. */
const MAX_FAILED = 10

/** A model: its versions, which of them plain requests go to, and the order of its changes. */
export class ModelEntry {
  readonly name: string
  readonly versions = new Map<string, ModelVersion>()
  /** Where plain requests go. A pointer, not a state: an active version can be cold. */
  active: ModelVersion | undefined
  /** What was active before, for a rollback. */
  previous: string | undefined
  /** The newest swap that is not settled. */
  ticket: SwapTicket | undefined
  /** Loads, swaps and unloads of one model happen one after another. */
  readonly lane = new PQueue({ concurrency: 1 })

  constructor(name: string) {
    this.name = name
  }
}

/** All models known to a runtime, by name. */
export class Catalogue {
  readonly #entries = new Map<string, ModelEntry>()
  /** Models that were to be served from the start, by name, with the reason why their load failed. */
  readonly #missing = new Map<string, unknown>()
  /** Forgotten, but not stopped yet. */
  readonly #leaving = new Set<ModelVersion>()
  /** Made known by a call and never loaded, in the order of their failures. */
  readonly #failed = new Set<ModelVersion>()

  /** The entry of that name, made if there is none; it goes when it has no version and nothing to do. */
  ensure(name: string): ModelEntry {
    const known = this.#entries.get(name)
    if (known !== undefined) return known
    const entry = new ModelEntry(name)
    this.#entries.set(name, entry)
    entry.lane.on('idle', () => this.#dropUnused(entry))
    return entry
  }

  #dropUnused(entry: ModelEntry): void {
    const { name, versions } = entry
    if (versions.size === 0 && this.#entries.get(name) === entry) this.#entries.delete(name)
  }

  /** @throws ERR_MODEL_NOT_FOUND */
  require(name: string): ModelEntry {
    const entry = this.#entries.get(name)
    if (entry !== undefined && entry.versions.size > 0) return entry
    const known = [...this.#entries.values()]
      .filter((other) => other.versions.size > 0)
      .map((other) => other.name)
    throw new errors.ERR_MODEL_NOT_FOUND(
      `there is no model ${JSON.stringify(name)}; known: ${known.length === 0 ? 'none' : known.slice(0, 10).join(', ')}`,
      { model: name },
    )
  }

  requireVersion(name: string, version: string): ModelVersion {
    const entry = this.require(name)
    const found = entry.versions.get(version)
    if (found !== undefined) return found
    throw new errors.ERR_VERSION_NOT_FOUND(
      `model ${name} has no version ${JSON.stringify(version)}; known: ${[...entry.versions.keys()].join(', ')}`,
      { model: name, version },
    )
  }

  /** The version a request goes to. */
  resolve(name: string, version: string | undefined): ModelVersion {
    if (version !== undefined) return this.requireVersion(name, version)
    const active = this.#entries.get(name)?.active
    if (active !== undefined) return active
    const entry = this.require(name)
    const failed = [...entry.versions.values()].find((candidate) => candidate.machine.is('error'))
    throw new errors.ERR_MODEL_UNAVAILABLE(
      `model ${name} has no active version; load one, or promote one of: ${[...entry.versions.keys()].join(', ')}`,
      { model: name, cause: failed?.machine.cause },
    )
  }

  /**
   * Keeps a version that a call has made known and that could not be loaded, so that its cause can be asked
   * for; of more than `MAX_FAILED` the oldest are forgotten.
   */
  keepFailed(version: ModelVersion): void {
    this.#failed.delete(version)
    this.#failed.add(version)
    const [oldest] = this.#failed
    if (this.#failed.size <= MAX_FAILED || oldest === undefined) return
    this.#failed.delete(oldest)
    const { name, version: label } = oldest.spec
    const isFailed = oldest.machine.is('error') && !oldest.isKept && this.find(name, label) === oldest
    if (!isFailed || this.get(name)?.active === oldest) return
    oldest.machine.to('stopped', 'forgotten')
    this.forget(oldest)
  }

  /** Removes the version from sight. */
  forget(version: ModelVersion): void {
    const { name, version: label } = version.spec
    const entry = this.#entries.get(name)
    if (entry?.versions.get(label) !== version) return
    entry.versions.delete(label)
    if (version.machine.is('stopping')) {
      this.#leaving.add(version)
      void version.machine.waitFor('stopped', 'error').then(() => this.#leaving.delete(version))
    }
    if (entry.active === version) {
      entry.active = undefined
      this.#missing.delete(name)
    }
    if (entry.lane.size + entry.lane.pending === 0) this.#dropUnused(entry)
  }

  /** Records that a model that is to be served could not be loaded at the start. */
  miss(name: string, cause: unknown): void {
    if (!this.#missing.has(name)) this.#missing.set(name, cause)
  }

  /** Returns the models that are to be served and still have no active version, with the reasons. */
  missing(): [name: string, cause: unknown][] {
    return [...this.#missing].filter(([name]) => this.#entries.get(name)?.active === undefined)
  }

  get(name: string): ModelEntry | undefined {
    return this.#entries.get(name)
  }

  find(name: string, version: string): ModelVersion | undefined {
    return this.#entries.get(name)?.versions.get(version)
  }

  get leaving(): readonly ModelVersion[] {
    return [...this.#leaving]
  }

  versions(): ModelVersion[] {
    return [...this.#entries.values()].flatMap((entry) => [...entry.versions.values()])
  }
}
