import { number, numbers, readOptions, words } from '../../harness/options.js'
import { measureRounds } from '../../harness/rounds.js'
import type { Scope, ScopeResult } from '../../harness/scope.js'
import { Bed, type Cell } from '../../measurements/bed.js'
import { type CellSample, Grid, wrongAnswers } from '../../measurements/grid.js'
import { type Timing, VARIANTS } from '../../measurements/stretch-order.js'
import { SUBJECTS } from '../../subjects/subjects.js'
import { chartOf } from './chart.js'
import { findingsOf } from './findings.js'
import { closedCells, MODELS, type ModelName } from './plan.js'

/** The rates of the open loop unless told: of what so many callers get. */
const OPEN_SHARES = [0.5, 0.8]
const OPEN_CALLERS = 64

export const scope: Scope = {
  quantity:
    'answers per second and their latency, under callers that wait for each answer and under requests at a rate',
  async run(args) {
    const { models, variants, callers, rate, seconds, warmup, ...rounds } = readOptions(args, {
      models: words(MODELS),
      variants: words(VARIANTS, ['raw', 'hand', 'ceiling', 'ceiling-nice-0', 'runtime']),
      callers: numbers([]),
      rate: numbers([]),
      seconds: number(2),
      warmup: number(3),
      rounds: number(5),
      patience: number(600),
    })
    using bed = new Bed()
    const timing: Timing = { warmUpMs: warmup * 1_000, durationMs: seconds * 1_000 }
    const measure = (cells: readonly Cell[]): Promise<CellSample[]> =>
      measureRounds(cells, rounds, (cell) => bed.measure(cell, timing))
    const cells = closedCells(models, variants, callers)
    const closed = new Grid(await measure(cells))
    const openCells = variants.includes('runtime')
      ? models.flatMap((model) => ratesOf(closed, model, rate))
      : []
    const open = new Grid(await measure(openCells))
    const tasksPerWorker: Partial<Record<ModelName, number>> = {}
    if (variants.includes('hand')) {
      for (const model of models) tasksPerWorker[model] = await bed.tasksPerWorkerOf(model)
    }
    return resultOf(closed, open, { ...rounds, seconds, warmup, tasksPerWorker })
  },
}

/** Requests to the runtime at those rates, or at shares of what its callers got. */
function ratesOf(closed: Grid, subject: ModelName, given: readonly number[]): Cell[] {
  const own = closed.samples.filter(({ cell }) => cell.subject === subject && cell.variant === 'runtime')
  const traffics = own.map(({ cell }) => cell.traffic)
  const usual = traffics.filter((traffic) => 'callers' in traffic && traffic.callers === OPEN_CALLERS)
  const most = Math.max(
    ...(usual.length > 0 ? usual : traffics).map((traffic) =>
      closed.median(subject, 'runtime', traffic, ({ perSecond }) => perSecond),
    ),
  )
  const rates = given.length > 0 ? given : OPEN_SHARES.map((share) => Math.ceil(share * most))
  return rates.map((ratePerSecond) => ({ subject, variant: 'runtime', traffic: { ratePerSecond } }))
}

function resultOf(closed: Grid, open: Grid, settings: object): ScopeResult {
  const figures: Record<string, string[][]> = {}
  for (const model of MODELS) {
    const cells = cellsOf(closed, model)
    if (cells.length > 0) figures[SUBJECTS[model].title] = closed.rows(cells)
    const openCells = cellsOf(open, model)
    if (openCells.length > 0) {
      figures[`${SUBJECTS[model].title}, requests at a rate, latency from the intended send time`] =
        open.rows(openCells)
    }
  }
  const chart = chartOf(closed)
  return {
    ratios: findingsOf(closed),
    figures,
    failures: wrongAnswers([...closed.samples, ...open.samples]),
    data: { ...settings, closed: closed.samples, open: open.samples },
    ...(chart !== undefined && { chart }),
  }
}

function cellsOf({ samples }: Grid, model: ModelName): Cell[] {
  return [...new Set(samples.map(({ cell }) => cell))].filter(({ subject }) => subject === model)
}
