import { describe, expect, it } from 'vitest'
import { LatencyLog } from '../../../../bench/harness/latency.js'

describe('a log of latencies', () => {
  it('has figures of all recorded durations, whatever their number', () => {
    const log = new LatencyLog()
    const count = 200_000
    for (let index = 1; index <= count; index += 1) log.record(index / 1_000)
    const { p50Ms, p99Ms, maxMs, ...rest } = log.figures()
    expect(rest.count).toBe(count)
    expect(p50Ms / 100).toBeCloseTo(1, 2)
    expect(p99Ms / 198).toBeCloseTo(1, 2)
    expect(maxMs / 200).toBeCloseTo(1, 2)
  })

  it('has zeros if nothing was recorded', () => {
    expect(new LatencyLog().figures()).toEqual({ count: 0, p50Ms: 0, p90Ms: 0, p99Ms: 0, maxMs: 0 })
  })
})
