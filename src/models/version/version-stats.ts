import { build, type Histogram } from 'hdr-histogram-js'
import type { ArtifactStats } from '../../artifacts/artifact-stats.js'
import type { RunRequest } from '../../pools/queue/run-request.js'
import type { PoolStats } from '../../pools/settings/pool-settings.js'

/** Latencies of successful requests, from the call of `predict` to its outputs, in milliseconds. */
export interface LatencySummary {
  /** Number of successful requests. */
  readonly count: number
  readonly meanMs: number
  readonly p50Ms: number
  readonly p90Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

/** Counters of one version since it was registered, over all its pools. */
export interface VersionStats {
  /** Number of requests to this version, settled or not. */
  readonly requests: number
  /** Number of requests that were rejected. */
  readonly errors: number
  /** Number of requests that a replica is running now. */
  readonly inFlight: number
  /** Number of requests that wait for a replica or for the load of the version now. */
  readonly queued: number
  /** Time at which a request last began or ended, in milliseconds since the epoch; undefined if there was none. */
  readonly lastUsedAt: number | undefined
  /** Latencies of all successful requests. */
  readonly latency: LatencySummary
  /**
   * Growth of the process's memory (Pss) during the last load of the version, in bytes, whatever caused it; undefined
   * before the first load.
   */
  readonly loadedBytes: number | undefined
  /** The form in which it was last loaded: the original file or an artifact; undefined before the first load. */
  readonly artifact: ArtifactStats | undefined
  /** Execution provider of the last load; undefined before the first load, or if its loader reports none. */
  readonly provider: string | undefined
  /** Replicas and queue of the pool; undefined while the version is cold. */
  readonly pool: PoolStats | undefined
}

const MICROSECONDS = 1_000

/** Counts the requests of one version, over all its pools. */
export class VersionStatsRecorder {
  requests = 0
  errors = 0
  /** Number of requests that are not settled. */
  open = 0
  /** Time at which a request last began or ended, by `Clock.now`. */
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

  /** Counts the request for `successor` instead, the version that runs it. */
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

  /** Returns a snapshot. @param originMs is `Clock.originMs`, to convert times to milliseconds since the epoch. */
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
    // The histogram returns the upper end of a bucket, which can lie above the maximum.
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
