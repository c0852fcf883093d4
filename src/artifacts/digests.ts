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

/** Has the content of files read by the builder, and remembers it for as long as they are not touched. */
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

  /** Digest of a model and its data files; undefined if they cannot be read. */
  async of(source: string, cache: ArtifactCache): Promise<readonly DatedHash[] | undefined> {
    const cached = await cache.digest(source)
    // Other versions of this library have not kept the names.
    if (cached?.slice(1).every(({ name }) => name !== '')) return cached
    const before = await stampsOf([source])
    const reply = await this.#builder.run({ kind: 'digest', source }, this.#limits).catch((error) => {
      // A file that cannot be read in time can be tried all the same.
      if (!(error instanceof BuilderDeath)) throw error
      this.#fallback.report(error, 'a model file cannot be read in time; it has no artifact')
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

  async hash(files: readonly string[]): Promise<readonly FileHash[]> {
    return successOf(await this.#builder.run({ kind: 'hash', files }, this.#limits)).files
  }
}
