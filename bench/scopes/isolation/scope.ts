import { BenchChild } from '../../harness/child.js'
import { atMost, told } from '../../harness/findings.js'
import { number, readOptions, words } from '../../harness/options.js'
import { comparable, measureRounds, medianOf, type Sample } from '../../harness/rounds.js'
import type { Finding, Scope, ScopeResult } from '../../harness/scope.js'
import { Bed, NICE_INCREMENT, THREADS } from '../../measurements/bed.js'
import { FIGURE_HEADS, figureCells } from '../../measurements/grid.js'
import { SUBJECTS } from '../../subjects/subjects.js'
import { type IsolationOrder, type IsolationOutcome, NEIGHBOURS, type Neighbour } from './order.js'

const DEEP_MODELS = ['rec', 'cls'] as const
type DeepModel = (typeof DEEP_MODELS)[number]
type IsolationSample = Sample<Neighbour, IsolationOutcome>

const MAX_BESIDE_THREADS = 1.3
const MAX_BESIDE_ONE = 2
const MARGIN_MS = 60_000
/** Some are being run, or on the way back into the queue. */
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
  quantity: 'latency of one model beside another one whose queue is deep, from the intended send time',
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
    using bed = new Bed()
    const order: Omit<IsolationOrder, 'beside'> = {
      source: bed.sourceOf('iris'),
      references: await bed.referencesOf('iris'),
      neighbour,
      neighbourSource: bed.sourceOf(neighbour),
      cacheDir: await bed.cacheOf(neighbour),
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
  using child = new BenchChild<IsolationOutcome>(new URL('./child.js', import.meta.url), order)
  const outcome = await child.result(order.warmUpMs + order.durationMs + MARGIN_MS)
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
  const caption = `iris MLP beside ${SUBJECTS[neighbour].title}, ${depth} requests waiting where the queue is deep`
  return {
    ratios: ratiosOf(p99),
    figures: {
      [caption]: [
        ['beside', 'its runs/s', 'waiting', ...FIGURE_HEADS],
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
    told(name('deep', 'bare'), p99('deep') / p99('bare')),
    atMost(name('deep-one', 'nothing'), p99('deep-one') / p99('nothing'), MAX_BESIDE_ONE),
    told(name('bare-one', 'nothing'), p99('bare-one') / p99('nothing')),
    told(name('deep-one', 'bare-one'), p99('deep-one') / p99('bare-one')),
  ]
}

function problemsOf({ cell, figures }: IsolationSample, depth: number): string[] {
  const { refused, checks, waiting } = figures
  const isShallow = cell.startsWith('deep') && waiting < depth * MIN_WAITING_SHARE
  return [
    ...(refused > 0 ? [`beside ${LABELS[cell]}: ${refused} requests were refused`] : []),
    ...(checks.wrong > 0 ? [`beside ${LABELS[cell]}: ${checks.wrong} answers are wrong`] : []),
    ...(isShallow ? [`beside ${LABELS[cell]}: only ${waiting} requests waited`] : []),
  ]
}
