import { build } from 'hdr-histogram-js'

const MICROSECONDS = 1_000

export interface LatencyFigures {
  readonly count: number
  readonly p50Ms: number
  readonly p90Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

/** Durations in an HDR histogram, three digits exact. */
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

/** Durations for hot loops: written down, and sorted into a histogram when asked for. */
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

export function median(values: readonly number[]): number {
  if (values.length === 0) throw new Error('there is no median of nothing')
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] as number
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2
}
