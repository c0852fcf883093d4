import { number, numbers, readOptions, words } from '../../harness/options.js'
import { measureRounds } from '../../harness/rounds.js'
import type { Scope, ScopeResult } from '../../harness/scope.js'
import type { Timing } from '../../load/traffic-figures.js'
import { type Cell, MeasurementHarness } from '../../measurements/measurement-harness.js'
import { VARIANTS, type Variant } from '../../measurements/measurement-order.js'
import { type CellSample, MeasurementTable, wrongOutputs } from '../../measurements/measurement-table.js'
import { SUBJECTS } from '../../subjects/subjects.js'
import { chartOf } from './chart.js'
import { findingsOf } from './findings.js'
import { closedCells, MODELS, type ModelName } from './plan.js'

/** Default rates of the open loop, as shares of the rate of `OPEN_CALLERS` callers in the closed loop. */
const OPEN_SHARES = [0.5, 0.8]
const OPEN_CALLERS = 64

/** Earlier names of variants, which `--variants` still accepts. */
const OLD_VARIANTS: Readonly<Record<string, Variant>> = {
  floor: 'lower-bound',
  raw: 'main-thread',
  worker: 'baseline-worker',
  hand: 'baseline-pool',
  ceiling: 'upper-bound',
  'ceiling-nice-0': 'upper-bound-nice-0',
}

export const scope: Scope = {
  quantity: 'requests per second and their latency, in a closed loop and at fixed rates',
  async run(args) {
    const { models, variants, callers, rate, seconds, warmup, ...rounds } = readOptions(args, {
      models: words(MODELS),
      variants: words(
        VARIANTS,
        ['main-thread', 'baseline-pool', 'upper-bound', 'upper-bound-nice-0', 'runtime'],
        OLD_VARIANTS,
      ),
      callers: numbers([]),
      rate: numbers([]),
      seconds: number(2),
      warmup: number(3),
      rounds: number(5),
      patience: number(600),
    })
    using harness = new MeasurementHarness()
    const timing: Timing = { warmUpMs: warmup * 1_000, durationMs: seconds * 1_000 }
    const measure = (cells: readonly Cell[]): Promise<CellSample[]> =>
      measureRounds(cells, rounds, (cell) => harness.measure(cell, timing))
    const cells = closedCells(models, variants, callers)
    const closed = new MeasurementTable(await measure(cells))
    const openCells = variants.includes('runtime')
      ? models.flatMap((model) => ratesOf(closed, model, rate))
      : []
    const open = new MeasurementTable(await measure(openCells))
    const tasksPerWorker: Partial<Record<ModelName, number>> = {}
    if (variants.includes('baseline-pool')) {
      for (const model of models) tasksPerWorker[model] = await harness.tasksPerWorkerOf(model)
    }
    return resultOf(closed, open, { ...rounds, seconds, warmup, tasksPerWorker })
  },
}

/** Returns open-loop cells of the runtime at the rates in `chosen`, or else at shares of its closed-loop rate. */
function ratesOf(closed: MeasurementTable, subject: ModelName, chosen: readonly number[]): Cell[] {
  const measured = closed.samples.filter(({ cell }) => cell.subject === subject && cell.variant === 'runtime')
  const traffics = measured.map(({ cell }) => cell.traffic)
  const defaultTraffics = traffics.filter(
    (traffic) => 'callers' in traffic && traffic.callers === OPEN_CALLERS,
  )
  const peakRate = Math.max(
    ...(defaultTraffics.length > 0 ? defaultTraffics : traffics).map((traffic) =>
      closed.median(subject, 'runtime', traffic, ({ perSecond }) => perSecond),
    ),
  )
  const rates = chosen.length > 0 ? chosen : OPEN_SHARES.map((share) => Math.ceil(share * peakRate))
  return rates.map((ratePerSecond) => ({ subject, variant: 'runtime', traffic: { ratePerSecond } }))
}

function resultOf(closed: MeasurementTable, open: MeasurementTable, settings: object): ScopeResult {
  const figures: Record<string, string[][]> = {}
  for (const model of MODELS) {
    const cells = cellsOf(closed, model)
    if (cells.length > 0) figures[SUBJECTS[model].title] = closed.rows(cells)
    const openCells = cellsOf(open, model)
    if (openCells.length > 0) {
      figures[`${SUBJECTS[model].title}, requests at a fixed rate, latency from the intended send time`] =
        open.rows(openCells)
    }
  }
  const chart = chartOf(closed)
  return {
    ratios: findingsOf(closed),
    figures,
    failures: wrongOutputs([...closed.samples, ...open.samples]),
    data: { ...settings, closed: closed.samples, open: open.samples },
    ...(chart !== undefined && { chart }),
  }
}

function cellsOf({ samples }: MeasurementTable, model: ModelName): Cell[] {
  return [...new Set(samples.map(({ cell }) => cell))].filter(({ subject }) => subject === model)
}
