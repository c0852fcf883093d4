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

/** Evicts a version as soon as it has been unused for its limit, without waiting for the periodic cleanup. */
export class IdleWatch {
  readonly #context: ModelContext
  readonly #version: WatchedVersion
  /** Evicts the version if it has been unused for `maxAgeMs`. */
  readonly #evict: (maxAgeMs: number) => Promise<unknown>
  #timer: Timer | undefined

  constructor(context: ModelContext, version: WatchedVersion, evict: (maxAgeMs: number) => Promise<unknown>) {
    this.#context = context
    this.#version = version
    this.#evict = evict
  }

  /** Starts to watch the version, or starts again with its current limit. */
  start(): void {
    this.stop()
    const { clock, config } = this.#context
    const { record, recorder } = this.#version
    const limitMs = idleLimitOf(this.#context, record)
    if (limitMs === undefined || config.modelCleanupIntervalMs === 0) return
    const leftMs = limitMs - (recorder.open > 0 ? 0 : this.#version.idleMs(clock.now()))
    // An unused version may stay, for example because it is pinned. It is checked again after the whole limit.
    const waitMs = leftMs > 0 ? leftMs : limitMs
    const check = (): void => inBackground(this.#context, this.#check(limitMs), 'eviction')
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

/** Returns the time without requests after which a version is evicted; undefined disables eviction. */
export function idleLimitOf({ config }: ModelContext, { spec }: VersionRecord): number | undefined {
  const limitMs = spec.config.modelIdleMs ?? config.modelIdleMs
  return limitMs === 0 ? undefined : limitMs
}
