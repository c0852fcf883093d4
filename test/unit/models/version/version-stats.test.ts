import { describe, expect, it } from 'vitest'
import { VersionStatsRecorder } from '../../../../src/models/version/version-stats.js'
import type { RunRequest } from '../../../../src/pools/queue/run-request.js'

/** Returns the recorder after requests with these durations and errors. */
function used(durationsMs: readonly number[], errors: readonly unknown[] = []): VersionStatsRecorder {
  const usage = new VersionStatsRecorder()
  durationsMs.forEach((durationMs, index) => {
    usage.begin(1000)
    usage.end({ startedAtMs: 1000, settledAtMs: 1000 + durationMs } as RunRequest, errors[index])
  })
  return usage
}

describe('the statistics of a version', () => {
  it('count requests that were admitted, failed and are open', () => {
    const usage = used([1, 2, 3], [undefined, new Error('x')])
    usage.begin(1000)
    expect(usage.stats(performance.timeOrigin, undefined)).toMatchObject({
      requests: 4,
      errors: 1,
      queued: 1,
      inFlight: 0,
      pool: undefined,
    })
    expect(usage.stats(performance.timeOrigin, undefined).latency.count).toBe(2)
  })

  it('are empty and all zeros before the first request', () => {
    expect(new VersionStatsRecorder().stats(performance.timeOrigin, undefined)).toEqual({
      requests: 0,
      errors: 0,
      inFlight: 0,
      queued: 0,
      lastUsedAt: undefined,
      latency: { count: 0, meanMs: 0, p50Ms: 0, p90Ms: 0, p99Ms: 0, maxMs: 0 },
      pool: undefined,
    })
  })

  it('report latencies in milliseconds within one percent', () => {
    const { latency } = used(Array.from({ length: 100 }, (_, i) => i + 1)).stats(
      performance.timeOrigin,
      undefined,
    )
    expect(latency.count).toBe(100)
    for (const [reported, real] of [
      [latency.meanMs, 50.5],
      [latency.p50Ms, 50],
      [latency.p90Ms, 90],
      [latency.p99Ms, 99],
      [latency.maxMs, 100],
    ] as const) {
      expect(Math.abs(reported - real) / real).toBeLessThan(0.01)
    }
  })

  it('report no percentile above the maximum', () => {
    // The buckets of the histogram have a width: this one ends at 1.247 ms.
    const { latency } = used([1.244]).stats(performance.timeOrigin, undefined)
    expect(latency.p50Ms).toBeLessThanOrEqual(latency.maxMs)
    expect(latency.p99Ms).toBeLessThanOrEqual(latency.maxMs)
  })

  it('include requests that take no time and requests that take hours', () => {
    const { latency } = used([0, 7_200_000]).stats(performance.timeOrigin, undefined)
    expect(latency.count).toBe(2)
    expect(latency.maxMs / 7_200_000).toBeCloseTo(1, 1)
  })
})
