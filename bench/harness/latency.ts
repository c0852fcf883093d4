import { build } from 'hdr-histogram-js'

const MICROSECONDS = 1_000

export interface LatencyFigures {
  readonly count: number
  readonly p50Ms: number
  readonly p90Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

/** Histogram of durations (HDR), exact to three digits. */
export class Latencies {
  readonly #histogram = build({ bitBucketSize: 32, numberOfSignificantValueDigits: 3 })

  record(durationMs: number): void {
    this.#histogram.recordValue(Math.max(0, Math.round(durationMs * MICROSECONDS)))
  }

  figures(): LatencyFigures {
    const max = this.#histogram.totalCount === 0 ? 0 : this.#histogram.maxValue
    // A percentile is the upper end of its bucket, which may lie above the largest value.
    const at = (percentile: number): number =>
      Math.min(max, this.#histogram.getValueAtPercentile(percentile)) / MICROSECONDS
    return {
      count: this.#histogram.totalCount,
      p50Ms: at(50),
      p90Ms: at(90),
      p99Ms: at(99),
      maxMs: max / MICROSECONDS,
    }
  }
}

const CHUNK = 65_536

/** Log of durations for hot loops: `record` only stores, `figures` builds the histogram. */
export class LatencyLog {
  readonly #full: Float32Array[] = []
  #chunk = new Float32Array(CHUNK)
  #length = 0

  record(durationMs: number): void {
    if (this.#length === CHUNK) {
      this.#full.push(this.#chunk)
      this.#chunk = new Float32Array(CHUNK)
      this.#length = 0
    }
    this.#chunk[this.#length] = durationMs
    this.#length += 1
  }

  figures(): LatencyFigures {
    const latencies = new Latencies()
    for (const chunk of [...this.#full, this.#chunk.subarray(0, this.#length)]) {
      for (const durationMs of chunk) latencies.record(durationMs)
    }
    return latencies.figures()
  }
}

/** Returns the median of `values`; throws if there are none. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new Error('no median: there are no values')
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] as number
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2
}
