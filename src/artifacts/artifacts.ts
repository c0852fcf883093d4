import { join } from 'node:path'
import type { ArtifactOptions } from '../config/artifact-options.js'
import { MAX_TIMER_MS } from '../config/number-schemas.js'
import { isRuntimeError, messageOf } from '../errors/errors.js'
import type { Clock } from '../platform/clock.js'
import { missingFolderGrant } from '../platform/permission.js'
import type { BuilderSubject } from '../protocol/builder/builder-messages.js'
import type { ModelFile } from '../protocol/model-files.js'
import type { Logger } from '../telemetry/logger.js'
import type { Shortfalls } from '../telemetry/shortfalls.js'
import type { Tolerance } from '../tensors/batch/batch-plan.js'
import type { EmptyAxes } from '../tensors/input/empty-axes.js'
import type { Signature, Tensor } from '../tensors/tensor.js'
import { keyOf, reasonForNoArtifact } from './artifact-key.js'
import { withBuildLock } from './builder/build-lock.js'
import { builderBytes, SPARE_MEMORY_BYTES } from './builder/builder-bytes.js'
import { BuilderProcess } from './builder/builder-process.js'
import type { BuilderEntry } from './builder/child-processes.js'
import { type Probed, probe } from './builder/probe.js'
import { tryForms } from './builder/try-forms.js'
import { ArtifactCache, type ArtifactEntry } from './cache/artifact-cache.js'
import { sizeOf, stampsOf } from './cache/file-stamp.js'
import { Digests } from './digests.js'
import { Fallback } from './fallback.js'

/** The default tolerance of batches; outputs of the same kernels differ by less. */
const TOLERANCE: Tolerance = { rtol: 1e-4, atol: 1e-6 }
/** Free disk space that a build needs, in sizes of the model: a form may hold the weights twice. */
const DISK_FACTOR = 3
const SPARE_DISK_BYTES = 64 * 2 ** 20
/** Number of files whose probe results are remembered. */
const MAX_PROBED = 256

export interface ArtifactsSettings {
  readonly clock: Clock
  /** Returns the traits of this machine that artifacts depend on; it may throw. */
  readonly machine: () => readonly string[]
  /** Undefined if this user has no place for a cache. */
  readonly cacheDir: string | undefined
  readonly builder: BuilderEntry
  readonly options: ArtifactOptions
}

/** A model to prepare, with the settings of its version. */
export interface PrepareOrder extends BuilderSubject {
  /** True: another process loads an unknown file first. */
  readonly isProbed: boolean
  /** True: an artifact of the model is built. */
  readonly isBuilt: boolean
  /** Time limit of the probe; 0 disables it. */
  readonly loadTimeoutMs: number
  /** Throws if the model must not be loaded with this content of its files. */
  check(files: readonly ModelFile[]): void
  /** Makes valid inputs from the signature; undefined if no valid input is known. */
  readonly samples: ((signature: Signature) => readonly (readonly Tensor[])[]) | undefined
}

/** The files from which to load a model: its artifact, or the original. */
export interface Prepared {
  /** The artifact, which is in use until `release`; undefined for the original. */
  readonly entry: ArtifactEntry | undefined
  /** Content of the entry's files, by their names in its folder. */
  readonly entryFiles?: readonly ModelFile[] | undefined
  /** Size of the model's files; undefined if it was not read. */
  readonly bytes: number | undefined
  /** Content of the model's files; undefined if they were not read. */
  readonly files?: readonly ModelFile[] | undefined
  /** The reason why the model has no artifact; undefined if it has one. */
  readonly reason: string | undefined
  /** Result of runs on inputs without elements; absent if the model was not probed. */
  readonly emptyAxes?: EmptyAxes | undefined
  /** Builds the artifact from valid inputs; undefined if the model has one, or cannot have one. */
  readonly build: ((samples: readonly (readonly Tensor[])[]) => Promise<Prepared>) | undefined
}

/** Probes models and builds their artifacts in another process, once for each content and machine. */
export class Artifacts {
  readonly #settings: ArtifactsSettings
  readonly #log: Logger
  readonly #builder: BuilderProcess
  readonly #cache: ArtifactCache
  #opening: Promise<boolean> | undefined
  readonly #fallback: Fallback
  readonly #digests: Digests
  readonly #closing = new AbortController()
  /** Probe results of this process, with or without a cache, by file, stamp and session options. */
  readonly #probed = new Map<string, Probed>()
  readonly #building = new Map<string, Promise<string | undefined>>()

  constructor(settings: ArtifactsSettings, log: Logger, shortfalls: Shortfalls) {
    this.#settings = settings
    this.#log = log
    const { clock, builder, cacheDir, options } = settings
    this.#builder = new BuilderProcess(clock, builder)
    this.#fallback = new Fallback(shortfalls, cacheDir)
    const limits = { timeoutMs: options.timeoutMs, maxBytes: SPARE_MEMORY_BYTES }
    this.#digests = new Digests(clock, this.#builder, limits, this.#fallback)
    this.#cache = new ArtifactCache(clock, cacheDir ?? '', options.maxBytes, (files) =>
      this.#digests.hash(files),
    )
  }

  /**
   * Probes a model and finds or builds its artifact; await it before the model is loaded. Problems of the
   * cache or the builder are reported, and the model is loaded in its original form.
   * @throws ERR_MODEL_LOAD if the model crashes the builder process, and any error that `order.check` throws.
   */
  async prepare(order: PrepareOrder): Promise<Prepared> {
    if ((!order.isProbed && !order.isBuilt) || order.sessionOptions.externalData !== undefined) {
      return plain('probe and artifacts are off, or `sessionOptions.externalData` is set')
    }
    try {
      return await this.#prepare(order)
    } catch (error) {
      if (isRuntimeError(error)) throw error
      this.#fallback.report(error, 'artifact builder failed; models are served in their original form')
      return plain(`the builder failed: ${messageOf(error)}`)
    }
  }

  /** Ends the builder processes; preparations under way reject with ERR_RUNTIME_CLOSED. */
  close(): void {
    this.#closing.abort()
    this.#builder.close()
  }

  /** Gives up the use of a prepared model's artifact. */
  async release({ entry }: Prepared): Promise<void> {
    if (entry !== undefined) await this.#cache.leave(entry.key)
  }

  async #prepare(order: PrepareOrder): Promise<Prepared> {
    const hasCache = await this.#open()
    const files = hasCache ? await this.#digests.of(order.source, this.#cache) : undefined
    if (files === undefined) {
      const probed = await this.#probe(order, undefined, undefined)
      const emptyAxes = order.isProbed ? probed?.emptyAxes : undefined
      return { ...plain('there is no cache, or the model files cannot be read'), emptyAxes }
    }
    order.check(files)
    const bytes = await sizeOf(files.map(({ path }) => path))
    const key = keyOf(files, this.#settings.machine(), order.sessionOptions)
    const probed = await this.#probe(order, key, bytes)
    const prepared = await this.#prepareProbed(order, key, bytes, probed)
    return { ...prepared, bytes, files, emptyAxes: order.isProbed ? probed?.emptyAxes : undefined }
  }

  async #prepareProbed(
    order: PrepareOrder,
    key: string,
    bytes: number,
    probed: Probed | undefined,
  ): Promise<Prepared> {
    const reason = order.isBuilt ? reasonForNoArtifact(order.sessionOptions) : 'artifacts are off'
    const cached = reason === undefined ? await this.#find(key) : undefined
    if (cached !== undefined) return cached
    if (reason !== undefined) return plain(reason)
    if (bytes < this.#settings.options.minBytes)
      return plain(`the model has ${bytes} bytes, fewer than artifacts.minBytes`)
    const build = (samples: readonly (readonly Tensor[])[]): Promise<Prepared> =>
      this.#build(order, key, bytes, samples)
    if (order.samples === undefined) return { ...plain('no valid input is known yet'), build }
    const loaded = probed ?? (await this.#load(order, key, bytes))
    return loaded === undefined
      ? plain('the builder cannot load the model')
      : build(order.samples(loaded.signature))
  }

  /** Returns the cached result: an artifact, or the original if no form works; undefined if there is none. */
  async #find(key: string): Promise<Prepared | undefined> {
    // Marked as used before it is read, so that no process removes it in between.
    await this.#cache.use(key)
    const entry = await this.#fallback
      .guarded(() => this.#cache.find(key))
      .catch(async (error) => {
        await this.#cache.leave(key)
        throw error
      })
    if (entry !== undefined && entry.form !== 'original') {
      const entryFiles = await filesOf(entry)
      return { entry, entryFiles, bytes: undefined, reason: undefined, build: undefined }
    }
    await this.#cache.leave(key)
    return entry && plain(entry.rejected.map(({ form, reason }) => `${form}: ${reason}`).join('; '))
  }

  /** Returns the result of this or an earlier probe; undefined if the model is not probed, or could not be loaded. */
  async #probe(
    order: PrepareOrder,
    key: string | undefined,
    bytes: number | undefined,
  ): Promise<Probed | undefined> {
    const local = await localKey(order)
    const earlier = this.#probed.get(local) ?? (key === undefined ? undefined : await this.#cache.probe(key))
    if (earlier !== undefined || !order.isProbed) return earlier
    const probed = await this.#load(order, key, bytes)
    if (probed !== undefined) this.#remember(local, probed)
    return probed
  }

  /** Loads the model in the builder process; undefined if it could not be loaded there. */
  async #load(
    order: PrepareOrder,
    key: string | undefined,
    bytes: number | undefined,
  ): Promise<Probed | undefined> {
    const maxBytes = builderBytes(this.#settings.options, bytes)
    const limits = { timeoutMs: order.loadTimeoutMs, maxBytes, fileBytes: bytes }
    const probed = await probe(this.#builder, subjectOf(order), limits, order.isProbed)
    if (key !== undefined && probed !== undefined) {
      await this.#fallback.guarded(() => this.#cache.saveProbe(key, probed))
    }
    return probed
  }

  #remember(local: string, probed: Probed): void {
    this.#probed.set(local, probed)
    const [oldest] = this.#probed.keys()
    if (this.#probed.size > MAX_PROBED && oldest !== undefined) this.#probed.delete(oldest)
  }

  async #build(
    order: PrepareOrder,
    key: string,
    bytes: number,
    samples: readonly (readonly Tensor[])[],
  ): Promise<Prepared> {
    let building = this.#building.get(key)
    if (building === undefined) {
      const { clock, options } = this.#settings
      const waitMs = options.timeoutMs === 0 ? MAX_TIMER_MS : options.timeoutMs
      const name = `${this.#settings.cacheDir} ${key}`
      building = withBuildLock(clock, name, waitMs, this.#closing.signal, () =>
        this.#buildAlone(order, key, bytes, samples),
      ).finally(() => this.#building.delete(key))
      this.#building.set(key, building)
    }
    const failure = await building
    if (failure !== undefined) return plain(failure)
    return {
      ...((await this.#find(key)) ?? plain('the artifact was removed right after it was built')),
      bytes,
    }
  }

  /** Builds the artifact; returns the reason if there is none. Throws only the errors of `Fallback.guarded`. */
  async #buildAlone(
    order: PrepareOrder,
    key: string,
    bytes: number,
    samples: readonly (readonly Tensor[])[],
  ): Promise<string | undefined> {
    const cache = this.#cache
    const isCached = await this.#fallback.guarded(async () => {
      if ((await cache.find(key)) !== undefined) return true
      const needed = DISK_FACTOR * bytes + SPARE_DISK_BYTES
      const free = await cache.freeBytes()
      if (free < needed) throw new Error(`the disk has ${free} bytes left; ${needed} are needed`)
      const folder = await cache.newFolder()
      try {
        const { timeoutMs } = this.#settings.options
        const maxBytes = builderBytes(this.#settings.options, bytes)
        const limits = { timeoutMs, maxBytes, fileBytes: bytes }
        const build = { ...subjectOf(order), folder, samples, tolerance: TOLERANCE }
        const { form, files, isFlushed, rejected } = await tryForms(this.#builder, build, limits)
        for (const { form: failed, reason } of rejected) {
          this.#log.info({ form: failed, reason }, 'artifact form rejected')
        }
        this.#log.info({ source: order.source, form: form ?? 'original' }, 'artifact built')
        const from = form === undefined ? await cache.newFolder() : `${folder}/${form}`
        const decision = { form: form ?? ('original' as const), rejected: [...rejected] }
        await cache.publish(key, from, decision, files, isFlushed)
        return true
      } finally {
        await cache.discard(folder)
      }
    })
    return isCached ? undefined : 'the artifact could not be built or stored'
  }

  /** Opens the cache once; resolves with false if it cannot be used. */
  #open(): Promise<boolean> {
    const open = async (): Promise<void> => {
      const { cacheDir } = this.#settings
      if (cacheDir === undefined) throw new Error('this user has no home folder; set `cacheDir`, or HOME')
      const grant = missingFolderGrant(cacheDir)
      if (grant !== undefined) throw new Error(`the permission model denies its use; ${grant}`)
      await this.#cache.open()
    }
    this.#opening ??= open().then(
      () => true,
      (error) => {
        this.#fallback.report(error, 'artifact cache unavailable; models are served in their original form')
        return false
      },
    )
    return this.#opening
  }
}

/** Returns an artifact's files with their present stamps: the manifest of a cache that was moved has other ones. */
async function filesOf({ folder, files }: ArtifactEntry): Promise<ModelFile[]> {
  const stamps = await stampsOf(files.map(({ name }) => join(folder, name)))
  return files.map(({ name, sha256 }, index) => ({ name, sha256, stamp: stamps?.[index]?.text ?? '' }))
}

function plain(reason: string): Prepared {
  return { entry: undefined, bytes: undefined, reason, build: undefined }
}

function subjectOf({ model, version, source, sessionOptions }: PrepareOrder): BuilderSubject {
  return { model, version, source, sessionOptions }
}

async function localKey({ source, sessionOptions }: PrepareOrder): Promise<string> {
  const stamps = await stampsOf([source])
  return JSON.stringify([source, stamps?.[0]?.text, sessionOptions])
}
