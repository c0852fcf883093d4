import { join } from 'node:path'
import type { ArtifactOptions } from '../config/artifact-options.js'
import { MAX_TIMER_MS } from '../config/number-schemas.js'
import { isRuntimeError, messageOf } from '../errors/errors.js'
import type { Clock } from '../platform/clock.js'
import { missingFolderGrant } from '../platform/permission.js'
import type { BuilderSubject, RejectedForm } from '../protocol/builder/builder-messages.js'
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

/** As for a batch: what the same kernels answer differs by less. */
const TOLERANCE: Tolerance = { rtol: 1e-4, atol: 1e-6 }
/** A form may hold the weights twice. */
const DISK_FACTOR = 3
const SPARE_DISK_BYTES = 64 * 2 ** 20
/** Signatures that are remembered for files that were tried. */
const MAX_PROBED = 256

export interface ArtifactsSettings {
  readonly clock: Clock
  /** Returns what artifacts depend on of this machine; it may throw. */
  readonly machine: () => readonly string[]
  /** Undefined if there is no place for it. */
  readonly cacheDir: string | undefined
  readonly builder: BuilderEntry
  readonly options: ArtifactOptions
}

export interface PrepareOrder extends BuilderSubject {
  /** Whether a file that is not known is loaded by another process first. */
  readonly isProbed: boolean
  /** Whether it shall have an artifact. */
  readonly isBuilt: boolean
  /** 0 is never. */
  readonly loadTimeoutMs: number
  /** Throws if files that hold this are not to be loaded. */
  check(files: readonly ModelFile[]): void
  /** Makes inputs that are known to be valid; undefined if none are. */
  readonly samples: ((signature: Signature) => readonly (readonly Tensor[])[]) | undefined
}

/** How a model is to be loaded. */
export interface Prepared {
  /** In use until `release`; undefined is as it is. */
  readonly entry: ArtifactEntry | undefined
  /** Content of the entry's files, by their names in its folder. */
  readonly entryFiles?: readonly ModelFile[] | undefined
  /** Of its files; undefined if they were not looked at. */
  readonly bytes: number | undefined
  /** Content of the model's files; undefined if they were not read. */
  readonly files?: readonly ModelFile[] | undefined
  /** Why it has no artifact; undefined if it has one. */
  readonly reason: string | undefined
  /** Result of the trial of inputs without elements; absent if there was to be none. */
  readonly emptyAxes?: EmptyAxes | undefined
  /** Builds the artifact from inputs that are known to be valid; undefined if it needs none. */
  readonly build: ((samples: readonly (readonly Tensor[])[]) => Promise<Prepared>) | undefined
}

/** Has models tried and made into artifacts by another process, once for each content and machine. */
export class Artifacts {
  readonly #settings: ArtifactsSettings
  readonly #log: Logger
  readonly #builder: BuilderProcess
  readonly #cache: ArtifactCache
  #opening: Promise<boolean> | undefined
  readonly #fallback: Fallback
  readonly #digests: Digests
  readonly #closing = new AbortController()
  /** Known in this process, whether or not there is a cache: results by files, their stamps and options. */
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
   * To be awaited before a model is loaded.
   * @throws ERR_MODEL_LOAD if it is the end of a process that tries to load it, and what `order` throws.
   */
  async prepare(order: PrepareOrder): Promise<Prepared> {
    if ((!order.isProbed && !order.isBuilt) || order.sessionOptions.externalData !== undefined) {
      return plain('neither a probe nor an artifact is wanted')
    }
    try {
      return await this.#prepare(order)
    } catch (error) {
      if (isRuntimeError(error)) throw error
      this.#fallback.report(
        error,
        'the process that tries models and builds artifacts fails; models are served as they are',
      )
      return plain(`the builder fails: ${messageOf(error)}`)
    }
  }

  /** Ends what is under way. */
  close(): void {
    this.#closing.abort()
    this.#builder.close()
  }

  /** The entry is not needed any more. */
  async release({ entry }: Prepared): Promise<void> {
    if (entry !== undefined) await this.#cache.leave(entry.key)
  }

  async #prepare(order: PrepareOrder): Promise<Prepared> {
    const hasCache = await this.#open()
    const files = hasCache ? await this.#digests.of(order.source, this.#cache) : undefined
    if (files === undefined) {
      const probed = await this.#probe(order, undefined, undefined)
      const emptyAxes = order.isProbed ? probed?.emptyAxes : undefined
      return { ...plain('there is no cache, or its files cannot be read'), emptyAxes }
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
    if (bytes < this.#settings.options.minBytes) return plain(`it has ${bytes} bytes (artifacts.minBytes)`)
    const build = (samples: readonly (readonly Tensor[])[]): Promise<Prepared> =>
      this.#build(order, key, bytes, samples)
    if (order.samples === undefined) return { ...plain('no valid input is known yet'), build }
    const loaded = probed ?? (await this.#load(order, key, bytes))
    return loaded === undefined ? plain('the builder cannot load it') : build(order.samples(loaded.signature))
  }

  /** As it is in the cache; undefined if it is not. */
  async #find(key: string): Promise<Prepared | undefined> {
    // Before it is looked at, so that it stays what it is found to be.
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
    return entry === undefined ? undefined : plain(reasonOf(entry.rejected))
  }

  /** Nothing if it is known to do no harm, or must not be tried. */
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

  /** Has it loaded by the builder. */
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
      const { timeoutMs } = options
      const waitMs = timeoutMs === 0 ? MAX_TIMER_MS : timeoutMs
      const name = `${this.#settings.cacheDir} ${key}`
      building = withBuildLock(clock, name, waitMs, this.#closing.signal, () =>
        this.#buildAlone(order, key, bytes, samples),
      ).finally(() => this.#building.delete(key))
      this.#building.set(key, building)
    }
    const failure = await building
    if (failure !== undefined) return plain(failure)
    return { ...((await this.#find(key)) ?? plain('its artifact was removed at once')), bytes }
  }

  /** Why there is none, if so; nothing is thrown but that the runtime was closed. */
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
      if (free < needed) throw new Error(`the disk has ${free} bytes left, ${needed} are needed`)
      const folder = await cache.newFolder()
      try {
        const { timeoutMs } = this.#settings.options
        const maxBytes = builderBytes(this.#settings.options, bytes)
        const limits = { timeoutMs, maxBytes, fileBytes: bytes }
        const build = { ...subjectOf(order), folder, samples, tolerance: TOLERANCE }
        const { form, files, isFlushed, rejected } = await tryForms(this.#builder, build, limits)
        for (const { form: failed, reason } of rejected) {
          this.#log.info({ form: failed, reason }, 'a form of the artifact cannot be used')
        }
        this.#log.info({ source: order.source, form: form ?? 'original' }, 'an artifact was built')
        const from = form === undefined ? await cache.newFolder() : `${folder}/${form}`
        const decision = { form: form ?? ('original' as const), rejected: [...rejected] }
        await cache.publish(key, from, decision, files, isFlushed)
        return true
      } finally {
        await cache.discard(folder)
      }
    })
    return isCached ? undefined : 'it could not be built or kept'
  }

  /** Whether there is a cache. */
  #open(): Promise<boolean> {
    const open = async (): Promise<void> => {
      const { cacheDir } = this.#settings
      if (cacheDir === undefined) throw new Error('this user has no home folder; set `cacheDir`, or HOME')
      const grant = missingFolderGrant(cacheDir)
      if (grant !== undefined) throw new Error(`the permission model lets this process not use it; ${grant}`)
      await this.#cache.open()
    }
    this.#opening ??= open().then(
      () => true,
      (error) => {
        this.#fallback.report(error, 'the artifact cache cannot be used; models are served as they are')
        return false
      },
    )
    return this.#opening
  }
}

/** With the stamps that they have here: a cache that was moved has others in its manifests. */
async function filesOf({ folder, files }: ArtifactEntry): Promise<ModelFile[]> {
  const stamps = await stampsOf(files.map(({ name }) => join(folder, name)))
  return files.map(({ name, sha256 }, index) => ({ name, sha256, stamp: stamps?.[index]?.text ?? '' }))
}

function plain(reason: string): Prepared {
  return { entry: undefined, bytes: undefined, reason, build: undefined }
}

function reasonOf(rejected: readonly RejectedForm[]): string {
  return rejected.map(({ form, reason }) => `${form}: ${reason}`).join('; ')
}

function subjectOf({ model, version, source, sessionOptions }: PrepareOrder): BuilderSubject {
  return { model, version, source, sessionOptions }
}

async function localKey({ source, sessionOptions }: PrepareOrder): Promise<string> {
  const stamps = await stampsOf([source])
  return JSON.stringify([source, stamps?.[0]?.text, sessionOptions])
}
