import type { Timer } from '../../platform/clock.js'
import { inBackground } from '../../telemetry/in-background.js'
import type { ModelContext } from '../context/model-context.js'
import type { VersionRecord } from '../context/version-record.js'
import type { VersionStatsRecorder } from './version-stats.js'

/** The version that is watched. */
export interface WatchedVersion {
  readonly record: VersionRecord
  readonly recorder: VersionStatsRecorder
  readonly isServing: boolean
  idleMs(nowMs: number): number
}

/** Evicts a version as soon as it is unused for its limit, not only when all versions are looked through. */
export class IdleWatch {
  readonly #context: ModelContext
  readonly #version: WatchedVersion
  /** Evicts the version if it was unused for `maxAgeMs`. */
  readonly #evict: (maxAgeMs: number) => Promise<unknown>
  #timer: Timer | undefined

  constructor(context: ModelContext, version: WatchedVersion, evict: (maxAgeMs: number) => Promise<unknown>) {
    this.#context = context
    this.#version = version
    this.#evict = evict
  }

  start(): void {
    this.stop()
    const { clock, config } = this.#context
    const { record, recorder } = this.#version
    const limitMs = idleLimitOf(this.#context, record)
    if (limitMs === undefined || config.modelCleanupIntervalMs === 0) return
    const leftMs = limitMs - (recorder.open > 0 ? 0 : this.#version.idleMs(clock.now()))
    // One that stays although it is unused is looked at again when it could have been used.
    const waitMs = leftMs > 0 ? leftMs : limitMs
    const check = (): void => inBackground(this.#context, this.#check(limitMs), 'an eviction')
    this.#timer = clock.setTimeout(check, waitMs).unref()
  }

  stop(): void {
    this.#context.clock.clear(this.#timer)
  }

  async #check(limitMs: number): Promise<void> {
    await this.#evict(limitMs)
    if (this.#version.isServing) this.start()
  }
}

/** Returns how long a version may be unused before it is evicted; undefined is for good. */
export function idleLimitOf({ config }: ModelContext, { spec }: VersionRecord): number | undefined {
  const limitMs = spec.config.modelIdleMs ?? config.modelIdleMs
  return limitMs === 0 ? undefined : limitMs
}
