import { runChild } from '../../harness/child.js'
import { atMost, reported } from '../../harness/findings.js'
import type { Finding } from '../../harness/scope.js'
import { HEAVY } from '../../subjects/heavy.js'
import { SUBJECTS } from '../../subjects/subjects.js'
import { CHILD_LIMIT_MS, type MemoryFiles, type MemoryOptions } from './files.js'
import { BESIDE, type Beside, type BesideOrder, type BesideOutcome } from './order.js'

const RATE_PER_SECOND = 100
const MAX_BUSY_RATIO = 1.3
const MAX_ONE_THREAD_RATIO = 2

/** Outcome of the round with the median p99, for each load, with the p99 of every round. */
export type BesideOutcomes = Readonly<Record<Beside, BesideOutcome & { readonly p99Ms: readonly number[] }>>

/** Measures the latency of the model at `small` beside each load. */
export async function measureBeside(
  { cacheDir, heavy, other }: MemoryFiles,
  small: string,
  { seconds, rounds }: MemoryOptions,
): Promise<BesideOutcomes> {
  const outcomes = new Map<Beside, BesideOutcome[]>(BESIDE.map((beside) => [beside, []]))
  for (let round = 0; round < rounds; round += 1) {
    for (const beside of BESIDE) {
      const order: BesideOrder = {
        beside,
        cacheDir,
        small,
        smallInput: SUBJECTS.iris.input(0),
        input: HEAVY.matmul.input,
        sources: [heavy.matmul, other],
        ratePerSecond: RATE_PER_SECOND,
        durationMs: seconds * 1_000,
      }
      const script = new URL('./beside-child.js', import.meta.url)
      const outcome = await runChild<BesideOutcome>(script, order, CHILD_LIMIT_MS)
      process.stderr.write(`beside ${beside}: p99 ${outcome.latency.p99Ms.toFixed(2)} ms\n`)
      outcomes.get(beside)?.push(outcome)
    }
  }
  return Object.fromEntries(
    BESIDE.map((beside) => [beside, medianRound(outcomes.get(beside) ?? [])]),
  ) as unknown as BesideOutcomes
}

function medianRound(outcomes: readonly BesideOutcome[]): BesideOutcomes[Beside] {
  const sorted = [...outcomes].sort((a, b) => a.latency.p99Ms - b.latency.p99Ms)
  const middle = sorted[Math.floor(sorted.length / 2)] as BesideOutcome
  return { ...middle, p99Ms: outcomes.map(({ latency }) => latency.p99Ms) }
}

export function besideFindings(outcomes: BesideOutcomes): Finding[] {
  const p99 = (beside: Beside): number => outcomes[beside].latency.p99Ms
  const ratio = (numerator: Beside, denominator: Beside): number => p99(numerator) / p99(denominator)
  const title = 'p99 of a small model while 200 MB are loaded and swapped'
  return [
    atMost(`${title} / beside bare busy threads`, ratio('runtime', 'bare'), MAX_BUSY_RATIO),
    reported(`${title}, naive pool / beside bare busy threads`, ratio('naive', 'bare')),
    atMost(`${title} by one thread / alone`, ratio('runtime-one', 'nothing'), MAX_ONE_THREAD_RATIO),
    reported(`${title} by one thread, naive pool / alone`, ratio('naive-one', 'nothing')),
    reported('p99 of a small model beside one bare busy thread / alone', ratio('bare-one', 'nothing')),
  ]
}

export function besideFigures(outcomes: BesideOutcomes): string[][] {
  return [
    ['beside', 'p50', 'p99', 'max', 'loads and swaps'],
    ...BESIDE.map((beside) => {
      const { latency, changes } = outcomes[beside]
      return [
        beside,
        ...[latency.p50Ms, latency.p99Ms, latency.maxMs].map((ms) => ms.toFixed(2)),
        `${changes}`,
      ]
    }),
  ]
}

export function besideFailures(outcomes: BesideOutcomes): string[] {
  return BESIDE.filter((beside) => outcomes[beside].rejected > 0).map(
    (beside) => `beside ${beside}: ${outcomes[beside].rejected} requests were rejected`,
  )
}
