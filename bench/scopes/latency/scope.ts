import { atMost, reported } from '../../harness/findings.js'
import { number, readOptions, words } from '../../harness/options.js'
import { measureRounds } from '../../harness/rounds.js'
import type { Finding, Scope } from '../../harness/scope.js'
import { type Cell, MeasurementHarness } from '../../measurements/measurement-harness.js'
import type { Traffic, Variant } from '../../measurements/measurement-order.js'
import { type Figure, LABELS, MeasurementTable, wrongOutputs } from '../../measurements/measurement-table.js'
import { SUBJECT_NAMES, SUBJECTS, type SubjectName } from '../../subjects/subjects.js'

const ONE: Traffic = { callers: 1 }
const COMPARED = [
  'main-thread',
  'baseline-worker',
  'baseline-pool',
  'runtime',
] as const satisfies readonly Variant[]
const LOWER_BOUND: Cell = { subject: 'iris', variant: 'lower-bound', traffic: ONE }
const MAX_P50_RATIO = 1.1
/** Limit for the p99 with a large input. */
const MAX_WIDE_RATIO = 0.5

export const scope: Scope = {
  quantity: 'latency of one caller that sends the next request once the last one has settled',
  async run(args) {
    const { models, seconds, warmup, ...rounds } = readOptions(args, {
      models: words(SUBJECT_NAMES),
      seconds: number(2),
      warmup: number(3),
      rounds: number(5),
      patience: number(300),
    })
    using harness = new MeasurementHarness()
    const timing = { warmUpMs: warmup * 1_000, durationMs: seconds * 1_000 }
    const cells = models.flatMap((subject) =>
      COMPARED.map((variant): Cell => ({ subject, variant, traffic: ONE })),
    )
    const table = new MeasurementTable(
      await measureRounds([LOWER_BOUND, ...cells], rounds, (cell) => harness.measure(cell, timing)),
    )
    const figures: Record<string, string[][]> = { 'a message and an empty reply': table.rows([LOWER_BOUND]) }
    for (const model of models) {
      figures[SUBJECTS[model].title] = table.rows(cells.filter(({ subject }) => subject === model))
    }
    return {
      ratios: models.flatMap((model) => findingsOf(table, model)),
      figures,
      failures: wrongOutputs(table.samples),
      data: { ...rounds, seconds, warmup, samples: table.samples },
    }
  },
}

function findingsOf(table: MeasurementTable, model: SubjectName): Finding[] {
  const { title } = SUBJECTS[model]
  const ratio = (over: Variant, figure: Figure): number =>
    table.median(model, 'runtime', ONE, figure) / table.median(model, over, ONE, figure)
  const p50 = ratio('baseline-worker', ({ latency }) => latency.p50Ms)
  const p99 = ratio('baseline-pool', ({ latency }) => latency.p99Ms)
  const p99Name = `${title}: p99, tbcoin / ${LABELS['baseline-pool']}`
  return [
    atMost(`${title}: p50, tbcoin / ${LABELS['baseline-worker']}`, p50, MAX_P50_RATIO),
    model === 'wide' ? atMost(p99Name, p99, MAX_WIDE_RATIO) : reported(p99Name, p99),
  ]
}
