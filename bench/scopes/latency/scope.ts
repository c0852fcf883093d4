import { atMost, told } from '../../harness/findings.js'
import { number, readOptions, words } from '../../harness/options.js'
import { measureRounds } from '../../harness/rounds.js'
import type { Finding, Scope } from '../../harness/scope.js'
import { Bed, type Cell } from '../../measurements/bed.js'
import { type Figure, Grid, LABELS, wrongAnswers } from '../../measurements/grid.js'
import type { Traffic, Variant } from '../../measurements/stretch-order.js'
import { SUBJECT_NAMES, SUBJECTS, type SubjectName } from '../../subjects/subjects.js'

const ONE: Traffic = { callers: 1 }
const WAYS = ['raw', 'worker', 'hand', 'runtime'] as const satisfies readonly Variant[]
const FLOOR: Cell = { subject: 'iris', variant: 'floor', traffic: ONE }
const MAX_P50_RATIO = 1.1
/** Of the p99 with a large input. */
const MAX_WIDE_RATIO = 0.5

export const scope: Scope = {
  quantity: 'latency of one caller, who sends the next request when the last has been answered',
  async run(args) {
    const { models, seconds, warmup, ...rounds } = readOptions(args, {
      models: words(SUBJECT_NAMES),
      seconds: number(2),
      warmup: number(3),
      rounds: number(5),
      patience: number(300),
    })
    using bed = new Bed()
    const timing = { warmUpMs: warmup * 1_000, durationMs: seconds * 1_000 }
    const cells = models.flatMap((subject) =>
      WAYS.map((variant): Cell => ({ subject, variant, traffic: ONE })),
    )
    const grid = new Grid(await measureRounds([FLOOR, ...cells], rounds, (cell) => bed.measure(cell, timing)))
    const figures: Record<string, string[][]> = { 'a message and an empty answer': grid.rows([FLOOR]) }
    for (const model of models) {
      figures[SUBJECTS[model].title] = grid.rows(cells.filter(({ subject }) => subject === model))
    }
    return {
      ratios: models.flatMap((model) => findingsOf(grid, model)),
      figures,
      failures: wrongAnswers(grid.samples),
      data: { ...rounds, seconds, warmup, samples: grid.samples },
    }
  },
}

function findingsOf(grid: Grid, model: SubjectName): Finding[] {
  const { title } = SUBJECTS[model]
  const ratio = (over: Variant, figure: Figure): number =>
    grid.median(model, 'runtime', ONE, figure) / grid.median(model, over, ONE, figure)
  const p50 = ratio('worker', ({ latency }) => latency.p50Ms)
  const p99 = ratio('hand', ({ latency }) => latency.p99Ms)
  const p99Name = `${title}: p99, tbcoin / ${LABELS.hand}`
  return [
    atMost(`${title}: p50, tbcoin / ${LABELS.worker}`, p50, MAX_P50_RATIO),
    model === 'wide' ? atMost(p99Name, p99, MAX_WIDE_RATIO) : told(p99Name, p99),
  ]
}
