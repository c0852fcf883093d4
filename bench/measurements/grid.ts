import { milliseconds } from '../../examples/speech/table.js'
import { median } from '../harness/latency.js'
import { comparable, type Sample } from '../harness/rounds.js'
import type { SubjectName } from '../subjects/subjects.js'
import { type Cell, cellName } from './bed.js'
import type { Traffic, TrafficFigures, Variant } from './stretch-order.js'

export type CellSample = Sample<Cell, TrafficFigures>
export type Figure = (figures: TrafficFigures) => number

/** What nobody asks has this. */
export const NO_CALLERS: Traffic = { callers: 0 }

export const LABELS: Readonly<Record<Variant, string>> = {
  floor: 'empty round trip',
  raw: 'main thread',
  worker: 'hand-written worker',
  hand: 'hand-written pool',
  ceiling: 'two bare threads',
  'ceiling-nice-0': 'two bare threads, nice 0',
  runtime: 'tbcoin',
}

/** Medians of cells over their rounds. */
export class Grid {
  readonly samples: readonly CellSample[]
  readonly #byKey = new Map<string, CellSample[]>()

  constructor(samples: readonly CellSample[]) {
    this.samples = samples
    // Only cells of one subject are set against each other.
    for (const subject of new Set(samples.map(({ cell }) => cell.subject))) {
      for (const sample of comparable(samples.filter(({ cell }) => cell.subject === subject))) {
        const key = cellName(sample.cell)
        this.#byKey.set(key, [...(this.#byKey.get(key) ?? []), sample])
      }
    }
  }

  /** NaN if the cell has not been measured. */
  median(subject: SubjectName, variant: Variant, traffic: Traffic, figure: Figure): number {
    const cell = { subject, variant, traffic: variant.startsWith('ceiling') ? NO_CALLERS : traffic }
    const own = this.#byKey.get(cellName(cell)) ?? []
    return own.length === 0 ? Number.NaN : median(own.map(({ figures }) => figure(figures)))
  }

  /** Tables of absolute figures: a row for each cell. */
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

/** Heads of what `figureCells` makes. */
export const FIGURE_HEADS = [
  'answers/s',
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

/** Cells of a table; `of` has the median of a figure. */
export function figureCells(of: (figure: Figure) => number): string[] {
  const hasLatency = of(({ latency }) => latency.count) > 0
  const latency = (figure: Figure): string => (hasLatency ? milliseconds(of(figure)) : '')
  return [
    rate(of(({ perSecond }) => perSecond)),
    percent(of(({ slices }) => spreadOf(slices))),
    latency((figures) => figures.latency.p50Ms),
    latency((figures) => figures.latency.p90Ms),
    latency((figures) => figures.latency.p99Ms),
    latency((figures) => figures.latency.maxMs),
    of(({ cores }) => cores).toFixed(2),
    percent(of(({ mainBusy }) => mainBusy)),
    percent(of(({ mainUtilisation }) => mainUtilisation)),
    milliseconds(of(({ loopDelayP99Ms }) => loopDelayP99Ms)),
  ]
}

/** Wrong answers are what a bench fails for. */
export function wrongAnswers(samples: readonly CellSample[]): string[] {
  return samples
    .filter(({ figures }) => figures.checks.wrong > 0)
    .map(
      ({ cell, figures: { checks } }) =>
        `${cellName(cell)}: ${checks.wrong} of ${checks.compared} answers are wrong`,
    )
}

/** From the lowest to the highest second, as a share of their middle. */
function spreadOf(slices: readonly number[]): number {
  return (Math.max(...slices) - Math.min(...slices)) / median(slices)
}

function rate(perSecond: number): string {
  return perSecond.toFixed(perSecond < 100 ? 1 : 0)
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`
}
