import type { Clock } from '../platform/clock.js'
import type { FileHash } from '../protocol/builder/builder-messages.js'
import { successOf } from '../protocol/failure.js'
import { isSettled } from '../protocol/model-files.js'
import { BuilderDeath } from './builder/builder-failure.js'
import type { BuilderProcess } from './builder/builder-process.js'
import type { BuilderLimits } from './builder/send-order.js'
import type { ArtifactCache, DatedHash } from './cache/artifact-cache.js'
import { stampsOf } from './cache/file-stamp.js'
import type { Fallback } from './fallback.js'

/** Reads and hashes files in the builder process, and caches the hashes until the files are touched. */
export class Digests {
  readonly #clock: Clock
  readonly #builder: BuilderProcess
  readonly #limits: BuilderLimits
  readonly #fallback: Fallback

  constructor(clock: Clock, builder: BuilderProcess, limits: BuilderLimits, fallback: Fallback) {
    this.#clock = clock
    this.#builder = builder
    this.#limits = limits
    this.#fallback = fallback
  }

  /** Returns the hashes of a model's file and its data files; undefined if they cannot be read. */
  async of(source: string, cache: ArtifactCache): Promise<readonly DatedHash[] | undefined> {
    const cached = await cache.digest(source)
    // Earlier versions of this library did not record the names.
    if (cached?.slice(1).every(({ name }) => name !== '')) return cached
    const before = await stampsOf([source])
    const reply = await this.#builder.run({ kind: 'digest', source }, this.#limits).catch((error) => {
      // A model whose files cannot be read in time can still be loaded.
      if (!(error instanceof BuilderDeath)) throw error
      this.#fallback.report(
        error,
        'model file could not be read in time; the model is served in its original form',
      )
      return undefined
    })
    if (reply?.ok !== true) return undefined
    const { files } = reply
    const nowMs = this.#clock.epoch()
    const stamps = await stampsOf(files.map(({ path }) => path))
    const areSettled = stamps?.every(({ text }) => isSettled(text, nowMs))
    if (stamps === undefined || !areSettled || stamps[0]?.text !== before?.[0]?.text)
      return files.map((file) => ({ ...file, stamp: '' }))
    const dated = files.map((file, index) => ({ ...file, stamp: stamps[index]?.text as string }))
    await this.#fallback.guarded(() => cache.saveDigest(source, dated))
    return dated
  }

  /** Returns the hashes of files, read anew. */
  async hash(files: readonly string[]): Promise<readonly FileHash[]> {
    return successOf(await this.#builder.run({ kind: 'hash', files }, this.#limits)).files
  }
}
