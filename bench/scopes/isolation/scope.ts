import { runChild } from '../../harness/child.js'
import { atMost, reported } from '../../harness/findings.js'
import { number, readOptions, words } from '../../harness/options.js'
import { comparable, measureRounds, medianOf, type Sample } from '../../harness/rounds.js'
import type { Finding, Scope, ScopeResult } from '../../harness/scope.js'
import { MeasurementHarness, NICE_INCREMENT, THREADS } from '../../measurements/measurement-harness.js'
import { FIGURE_HEADS, figureCells } from '../../measurements/measurement-table.js'
import { SUBJECTS } from '../../subjects/subjects.js'
import { type IsolationOrder, type IsolationOutcome, NEIGHBOURS, type Neighbour } from './order.js'

const DEEP_MODELS = ['rec', 'cls'] as const
type DeepModel = (typeof DEEP_MODELS)[number]
type IsolationSample = Sample<Neighbour, IsolationOutcome>

const MAX_BESIDE_THREADS = 1.3
const MAX_BESIDE_ONE = 2
const MARGIN_MS = 60_000
/** The other requests run, or are about to be sent again. */
const MIN_WAITING_SHARE = 0.9

const LABELS: Readonly<Record<Neighbour, string>> = {
  nothing: 'nothing',
  'bare-one': `one bare thread, nice ${NICE_INCREMENT}`,
  'bare-nice': `two bare threads, nice ${NICE_INCREMENT}`,
  bare: 'two bare threads, nice 0',
  deep: 'a deep queue',
  'deep-one': 'a deep queue, one replica',
}

export const scope: Scope = {
  quantity: 'latency of one model beside another one with a deep queue, from the intended send time',
  async run(args) {
    const { deep, depth, rate, seconds, warmup, ...rounds } = readOptions(args, {
      deep: words(DEEP_MODELS, ['rec']),
      depth: number(10_000),
      rate: number(100),
      seconds: number(10),
      warmup: number(2),
      rounds: number(5),
      patience: number(300),
    })
    const neighbour = deep[0] as DeepModel
    using harness = new MeasurementHarness()
    const order: Omit<IsolationOrder, 'beside'> = {
      source: harness.sourceOf('iris'),
      references: await harness.referencesOf('iris'),
      neighbour,
      neighbourSource: harness.sourceOf(neighbour),
      cacheDir: await harness.cacheOf(neighbour),
      depth,
      ratePerSecond: rate,
      threads: THREADS,
      niceIncrement: NICE_INCREMENT,
      warmUpMs: warmup * 1_000,
      durationMs: seconds * 1_000,
    }
    const samples = await measureRounds(NEIGHBOURS, rounds, (beside) => measure({ ...order, beside }))
    return resultOf(samples, neighbour, depth, { ...rounds, deep: neighbour, depth, rate, seconds, warmup })
  },
}

async function measure(order: IsolationOrder): Promise<IsolationOutcome> {
  const limitMs = order.warmUpMs + order.durationMs + MARGIN_MS
  const outcome = await runChild<IsolationOutcome>(new URL('./child.js', import.meta.url), order, limitMs)
  process.stderr.write(`beside ${LABELS[order.beside]}: p99 ${outcome.latency.p99Ms.toFixed(2)} ms\n`)
  return outcome
}

function resultOf(
  samples: readonly IsolationSample[],
  neighbour: DeepModel,
  depth: number,
  settings: object,
): ScopeResult {
  const compared = comparable(samples)
  const p99 = (beside: Neighbour): number => medianOf(compared, beside, ({ latency }) => latency.p99Ms)
  const caption = `iris MLP beside ${SUBJECTS[neighbour].title}, a deep queue has ${depth} requests`
  return {
    ratios: ratiosOf(p99),
    figures: {
      [caption]: [
        ['beside', 'runs/s of that load', 'waiting requests', ...FIGURE_HEADS],
        ...NEIGHBOURS.map((beside) => [
          LABELS[beside],
          medianOf(compared, beside, ({ neighbourPerSecond }) => neighbourPerSecond).toFixed(1),
          medianOf(compared, beside, ({ waiting }) => waiting).toFixed(0),
          ...figureCells((figure) => medianOf(compared, beside, figure)),
        ]),
      ],
    },
    failures: samples.flatMap((sample) => problemsOf(sample, depth)),
    data: { ...settings, samples },
  }
}

function ratiosOf(p99: (beside: Neighbour) => number): Finding[] {
  const name = (neighbour: Neighbour, other: Neighbour): string =>
    `p99 beside ${LABELS[neighbour]} / beside ${LABELS[other]}`
  return [
    atMost(name('deep', 'bare-nice'), p99('deep') / p99('bare-nice'), MAX_BESIDE_THREADS),
    reported(name('deep', 'bare'), p99('deep') / p99('bare')),
    atMost(name('deep-one', 'nothing'), p99('deep-one') / p99('nothing'), MAX_BESIDE_ONE),
    reported(name('bare-one', 'nothing'), p99('bare-one') / p99('nothing')),
    reported(name('deep-one', 'bare-one'), p99('deep-one') / p99('bare-one')),
  ]
}

function problemsOf({ cell, figures }: IsolationSample, depth: number): string[] {
  const { rejected, checks, waiting } = figures
  const isShallow = cell.startsWith('deep') && waiting < depth * MIN_WAITING_SHARE
  return [
    ...(rejected > 0 ? [`beside ${LABELS[cell]}: ${rejected} requests were rejected`] : []),
    ...(checks.wrong > 0 ? [`beside ${LABELS[cell]}: ${checks.wrong} outputs are wrong`] : []),
    ...(isShallow ? [`beside ${LABELS[cell]}: only ${waiting} requests waited`] : []),
  ]
}
