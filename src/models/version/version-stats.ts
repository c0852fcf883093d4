import { build, type Histogram } from 'hdr-histogram-js'
import type { ArtifactStats } from '../../artifacts/artifact-stats.js'
import type { RunRequest } from '../../pools/queue/run-request.js'
import type { PoolStats } from '../../pools/settings/pool-settings.js'

/** Latencies of answered requests, from `predict` to the answer, in milliseconds. */
export interface LatencySummary {
  readonly count: number
  readonly meanMs: number
  readonly p50Ms: number
  readonly p90Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

export interface VersionStats {
  /** Requests that were addressed to this version, answered or not. */
  readonly requests: number
  /** Requests that were rejected. */
  readonly errors: number
  /** Requests that a replica is running. */
  readonly inFlight: number
  /** Requests that wait for a replica or for the load of the version. */
  readonly queued: number
  /** Milliseconds since the epoch; undefined if it was never used. */
  readonly lastUsedAt: number | undefined
  readonly latency: LatencySummary
  /**
   * How much more the process held after the last load of the version than before (Pss), with all that
   * went on meanwhile; undefined before the first load.
   */
  readonly loadedBytes: number | undefined
  /** In which form it was loaded last; undefined before the first load. */
  readonly artifact: ArtifactStats | undefined
  /** The execution provider that serves it, as it was loaded last; undefined before, or if its loader knows none. */
  readonly provider: string | undefined
  /** The threads; undefined while the version is cold. */
  readonly pool: PoolStats | undefined
}

const MICROSECONDS = 1_000

/** Counts the requests of one version, over all its pools. */
export class VersionStatsRecorder {
  requests = 0
  errors = 0
  /** Admitted and not settled. */
  open = 0
  /** By `Clock.now`. */
  lastUsedAtMs: number | undefined
  readonly #latency: Histogram = build({
    bitBucketSize: 32,
    numberOfSignificantValueDigits: 2,
    autoResize: true,
  })

  begin(nowMs: number): void {
    this.requests += 1
    this.open += 1
    this.lastUsedAtMs = nowMs
  }

  /** The request is answered by another version, which has taken the place of this one. */
  handOver(request: RunRequest, successor: VersionStatsRecorder): void {
    if (request.isSettled) return
    this.requests -= 1
    this.open -= 1
    successor.begin(request.startedAtMs)
    request.onSettled = successor.end
  }

  readonly end = (request: RunRequest, error: unknown): void => {
    const { startedAtMs, settledAtMs } = request
    this.open -= 1
    this.lastUsedAtMs = settledAtMs
    if (error !== undefined) this.errors += 1
    else this.#latency.recordValue(Math.max(1, Math.round((settledAtMs - startedAtMs) * MICROSECONDS)))
  }

  /** `originMs` is that of the clock. */
  stats(
    originMs: number,
    pool: PoolStats | undefined,
    loadedBytes?: number,
    artifact?: ArtifactStats,
    provider?: string,
  ): VersionStats {
    const inFlight = pool?.inFlight ?? 0
    return {
      requests: this.requests,
      errors: this.errors,
      inFlight,
      queued: this.open - inFlight,
      lastUsedAt: this.lastUsedAtMs === undefined ? undefined : originMs + this.lastUsedAtMs,
      latency: this.#summary(),
      loadedBytes,
      artifact,
      provider,
      pool,
    }
  }

  #summary(): LatencySummary {
    const { totalCount, mean, maxValue } = this.#latency
    // The histogram answers with the upper end of a bucket, which can lie above the maximum.
    const percentileMs = (percentile: number): number =>
      Math.min(this.#latency.getValueAtPercentile(percentile), maxValue) / MICROSECONDS
    return {
      count: totalCount,
      meanMs: totalCount === 0 ? 0 : mean / MICROSECONDS,
      p50Ms: percentileMs(50),
      p90Ms: percentileMs(90),
      p99Ms: percentileMs(99),
      maxMs: maxValue / MICROSECONDS,
    }
  }
}
