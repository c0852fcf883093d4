import { milliseconds } from '../../examples/speech/table.js'
import { median } from '../harness/latency.js'
import { comparable, type Sample } from '../harness/rounds.js'
import type { TrafficFigures } from '../load/traffic-figures.js'
import type { SubjectName } from '../subjects/subjects.js'
import { type Cell, cellName } from './measurement-harness.js'
import { isUpperBound, type Traffic, type Variant } from './measurement-order.js'

export type CellSample = Sample<Cell, TrafficFigures>
export type Figure = (figures: TrafficFigures) => number

/** Traffic of the upper bounds, which have no callers. */
export const NO_CALLERS: Traffic = { callers: 0 }

/** Names of the variants in findings and tables. */
export const LABELS: Readonly<Record<Variant, string>> = {
  'lower-bound': 'empty round trip',
  'main-thread': 'main thread',
  'baseline-worker': 'single worker',
  'baseline-pool': 'Piscina pool',
  'upper-bound': 'two bare threads',
  'upper-bound-nice-0': 'two bare threads, nice 0',
  runtime: 'tbcoin',
}

/** Medians of the measured cells over their rounds. */
export class MeasurementTable {
  readonly samples: readonly CellSample[]
  readonly #byKey = new Map<string, CellSample[]>()

  constructor(samples: readonly CellSample[]) {
    this.samples = samples
    // Only cells of one subject are compared with each other.
    for (const subject of new Set(samples.map(({ cell }) => cell.subject))) {
      for (const sample of comparable(samples.filter(({ cell }) => cell.subject === subject))) {
        const key = cellName(sample.cell)
        this.#byKey.set(key, [...(this.#byKey.get(key) ?? []), sample])
      }
    }
  }

  /** Returns the median of `figure`, or NaN if the cell was not measured. */
  median(subject: SubjectName, variant: Variant, traffic: Traffic, figure: Figure): number {
    const cell = { subject, variant, traffic: isUpperBound(variant) ? NO_CALLERS : traffic }
    const cellSamples = this.#byKey.get(cellName(cell)) ?? []
    return cellSamples.length === 0 ? Number.NaN : median(cellSamples.map(({ figures }) => figure(figures)))
  }

  /** Returns a table of absolute figures with one row per cell. */
  rows(cells: readonly Cell[]): string[][] {
    return [
      ['', 'callers', ...FIGURE_HEADS, 'each round (* disturbed)'],
      ...cells.map((cell) => this.#row(cell)),
    ]
  }

  #row(cell: Cell): string[] {
    const { subject, variant, traffic } = cell
    return [
      LABELS[variant],
      'callers' in traffic ? `${traffic.callers || ''}` : `${traffic.ratePerSecond}/s`,
      ...figureCells((figure) => this.median(subject, variant, traffic, figure)),
      this.samples
        .filter((sample) => cellName(sample.cell) === cellName(cell))
        .map(({ figures, isDisturbed }) => `${rate(figures.perSecond)}${isDisturbed ? '*' : ''}`)
        .join(' '),
    ]
  }
}

/** Heads of the columns that `figureCells` returns. */
export const FIGURE_HEADS = [
  'requests/s',
  'spread',
  'p50',
  'p90',
  'p99',
  'max',
  'cores',
  'main busy',
  'loop used',
  'loop delay p99',
]

/** Returns the columns of one row; `medianOf` returns the median of a figure. */
export function figureCells(medianOf: (figure: Figure) => number): string[] {
  const hasLatency = medianOf(({ latency }) => latency.count) > 0
  const latency = (figure: Figure): string => (hasLatency ? milliseconds(medianOf(figure)) : '')
  return [
    rate(medianOf(({ perSecond }) => perSecond)),
    percent(medianOf(({ slices }) => spreadOf(slices))),
    latency((figures) => figures.latency.p50Ms),
    latency((figures) => figures.latency.p90Ms),
    latency((figures) => figures.latency.p99Ms),
    latency((figures) => figures.latency.maxMs),
    medianOf(({ cores }) => cores).toFixed(2),
    percent(medianOf(({ mainBusy }) => mainBusy)),
    percent(medianOf(({ mainUtilisation }) => mainUtilisation)),
    milliseconds(medianOf(({ loopDelayP99Ms }) => loopDelayP99Ms)),
  ]
}

/** Returns one failure per measurement with wrong outputs. */
export function wrongOutputs(samples: readonly CellSample[]): string[] {
  return samples
    .filter(({ figures }) => figures.checks.wrong > 0)
    .map(
      ({ cell, figures: { checks } }) =>
        `${cellName(cell)}: ${checks.wrong} of ${checks.compared} outputs are wrong`,
    )
}

/** Returns the difference between the highest and the lowest second, as a share of the median. */
function spreadOf(slices: readonly number[]): number {
  return (Math.max(...slices) - Math.min(...slices)) / median(slices)
}

function rate(perSecond: number): string {
  return perSecond.toFixed(perSecond < 100 ? 1 : 0)
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`
}
