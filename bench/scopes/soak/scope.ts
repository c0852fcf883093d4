import { modelPath } from '../../../models/catalogue.js'
import { BenchChild } from '../../harness/child.js'
import { atMost } from '../../harness/findings.js'
import { median } from '../../harness/latency.js'
import { numberOptions } from '../../harness/options.js'
import type { Finding, Scope, ScopeResult } from '../../harness/scope.js'
import { MeasurementHarness } from '../../measurements/measurement-harness.js'
import { SUBJECTS, type SubjectName } from '../../subjects/subjects.js'
import { type SoakModel, type SoakOrder, type SoakOutcome, type SoakSample, SWAPPED } from './order.js'

const MINUTE_MS = 60_000
/** Requests per second of each model; together they keep about one core busy. */
const RATES: Partial<Record<SubjectName, number>> = { iris: 400, [SWAPPED]: 100, cls: 40 }
/** Error codes that exits of replicas and short deadlines cause. */
const EXPECTED_CODES = ['ERR_DEADLINE_EXCEEDED', 'ERR_REPLICA_EXITED']
const MAX_GROWTH = 1.1
const MAX_P99_GROWTH = 1.5
/** Largest growth of descriptors, threads and listeners, which vary with swaps and exits of replicas. */
const MAX_INCREASE = 2
const ROWS = 20

export const scope: Scope = {
  quantity:
    'memory, descriptors, threads, listeners and latency over an hour of mixed load with swaps and exits of replicas',
  async run(args) {
    const options = numberOptions(args, { minutes: 60, sample: 30, swap: 10, life: 120 })
    using harness = new MeasurementHarness()
    const models: SoakModel[] = []
    for (const [name, ratePerSecond] of Object.entries(RATES)) {
      const subject = name as SubjectName
      const sources =
        subject === SWAPPED ? [modelPath('vad', '5'), modelPath('vad', '6')] : [harness.sourceOf(subject)]
      const references = await Promise.all(sources.map((source) => harness.referencesOf(subject, source)))
      models.push({ subject, sources, ratePerSecond, references })
    }
    const order: SoakOrder = {
      cacheDir: await harness.cacheOf(SWAPPED),
      durationMs: options.minutes * MINUTE_MS,
      sampleMs: options.sample * 1_000,
      swapMs: options.swap * 1_000,
      meanLifeMs: options.life * 1_000,
      models,
    }
    using child = new BenchChild<SoakOutcome>(new URL('./child.js', import.meta.url), order, (_, sample) =>
      process.stderr.write(`${rowOf(sample as SoakSample).join('  ')}\n`),
    )
    const outcome = await child.result(order.durationMs + 5 * MINUTE_MS)
    return resultOf(outcome, options)
  },
}

function resultOf(outcome: SoakOutcome, options: object): ScopeResult {
  const { samples, submitted, completed, rejected, open, compared, wrong, swaps, failedSwaps, replicaExits } =
    outcome
  const rejections = Object.values(rejected).reduce((sum, count) => sum + count, 0)
  const unexpected = Object.keys(rejected).filter((code) => !EXPECTED_CODES.includes(code))
  const failures = [
    ...(open > 0 ? [`${open} requests never settled`] : []),
    ...(submitted !== completed + rejections + open ? ['the counts of requests do not add up'] : []),
    ...(wrong > 0 ? [`${wrong} of ${compared} outputs are wrong`] : []),
    ...unexpected.map((code) => `${rejected[code]} requests were rejected with ${code}`),
    ...Object.entries(failedSwaps).map(([code, count]) => `${count} swaps failed with ${code}`),
  ]
  // The first quarter is warm-up and is not compared.
  const quarter = (index: number): readonly SoakSample[] =>
    samples.slice(Math.floor((index * samples.length) / 4), Math.floor(((index + 1) * samples.length) / 4))
  const [early, late] = [quarter(1), quarter(3)]
  const growth = (name: string, figure: (sample: SoakSample) => number, max: number): Finding =>
    atMost(
      `${name}, last quarter / second quarter`,
      median(late.map(figure)) / median(early.map(figure)),
      max,
    )
  const increase = (name: string, figure: (sample: SoakSample) => number): Finding =>
    atMost(
      `${name}, last quarter - second quarter`,
      median(late.map(figure)) - median(early.map(figure)),
      MAX_INCREASE,
    )
  const names = Object.keys(samples[0]?.p99Ms ?? {}) as SubjectName[]
  return {
    ratios: [
      count('lost requests', open, 0),
      count('requests with wrong outputs', wrong, 0),
      growth('anonymous memory', ({ anonymousBytes }) => anonymousBytes, MAX_GROWTH),
      growth('JavaScript heap', ({ heapBytes }) => heapBytes, MAX_GROWTH),
      increase('descriptors', ({ descriptors }) => descriptors),
      increase('threads', ({ threads }) => threads),
      increase('listeners on process', ({ listeners }) => listeners),
      ...names.map((name) =>
        growth(`p99 of ${SUBJECTS[name].title}`, ({ p99Ms }) => p99Ms[name] as number, MAX_P99_GROWTH),
      ),
      { name: 'requests', value: `${submitted}` },
      { name: 'hot swaps', value: `${swaps}` },
      { name: 'exits of replicas', value: `${replicaExits}` },
      ...Object.entries(rejected).map(([code, count]) => ({ name: code, value: `${count}` })),
    ],
    figures: { 'over time': [headOf(names), ...thinned(samples).map(rowOf)] },
    failures,
    data: { ...options, ...outcome },
  }
}

function count(name: string, value: number, max: number): Finding {
  return { name, value: `${value}`, target: `${max}`, isMet: value <= max }
}

function headOf(names: readonly SubjectName[]): string[] {
  return [
    'minute',
    'anonymous MB',
    'heap MB',
    'descriptors',
    'threads',
    'listeners',
    'loop p99 ms',
    ...names.map((name) => `${name} p99 ms`),
  ]
}

function rowOf(sample: SoakSample): string[] {
  const megabytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1)
  return [
    (sample.atMs / MINUTE_MS).toFixed(1),
    megabytes(sample.anonymousBytes),
    megabytes(sample.heapBytes),
    `${sample.descriptors}`,
    `${sample.threads}`,
    `${sample.listeners}`,
    sample.loopDelayP99Ms.toFixed(1),
    ...Object.values(sample.p99Ms).map((ms) => ms.toFixed(2)),
  ]
}

/** Returns at most about `ROWS` samples at equal distances, so that the table stays readable. */
function thinned(samples: readonly SoakSample[]): readonly SoakSample[] {
  const every = Math.max(1, Math.ceil(samples.length / ROWS))
  return samples.filter((_, index) => (index + 1) % every === 0)
}
