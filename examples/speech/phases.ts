import { build, type Histogram } from 'hdr-histogram-js'

const MICROSECONDS = 1_000

/** Stretches of the run: odd ones are swaps under way, from the call to `drained`. */
export const PHASES = [
  'before the swap',
  'during the swap',
  'after the swap',
  'during the rollback',
  'after the rollback',
] as const

/** A request that overlaps a swap belongs to the swap, whenever it began and ended. */
export function phaseOf(startedIn: number, endedIn: number): number {
  if (startedIn === endedIn || startedIn % 2 === 1) return startedIn
  return startedIn + 1
}

/** Latencies by phase. */
export class Phases {
  /** The present one. */
  current = 0
  readonly #latencies: Histogram[] = PHASES.map(() =>
    build({ bitBucketSize: 32, numberOfSignificantValueDigits: 3 }),
  )

  next(): void {
    this.current += 1
  }

  record(startedIn: number, latencyMs: number): void {
    const histogram = this.#latencies[phaseOf(startedIn, this.current)]
    histogram?.recordValue(Math.round(latencyMs * MICROSECONDS))
  }

  summary(): { name: string; count: number; p50Ms: number; p99Ms: number; maxMs: number }[] {
    return PHASES.map((name, index) => {
      const histogram = this.#latencies[index] as Histogram
      return {
        name,
        count: histogram.totalCount,
        p50Ms: histogram.getValueAtPercentile(50) / MICROSECONDS,
        p99Ms: histogram.getValueAtPercentile(99) / MICROSECONDS,
        maxMs: histogram.maxValue / MICROSECONDS,
      }
    })
  }
}
