import { type Figure, type Grid, LABELS } from '../../measurements/grid.js'
import type { Chart, Panel } from '../../report/line-chart.js'
import { SUBJECTS } from '../../subjects/subjects.js'
import { CHART_MODEL, CHART_VARIANTS } from './plan.js'

/** Throughput and latency over callers, if more than one number of them has been measured. */
export function chartOf(grid: Grid): Chart | undefined {
  const callers = callersOf(grid)
  if (callers.length < 2) return undefined
  const panel = (title: string, figure: Figure): Panel => ({
    title,
    series: CHART_VARIANTS.map((variant) => ({
      name: LABELS[variant],
      points: callers.map((count): [number, number] => [
        count,
        grid.median(CHART_MODEL, variant, { callers: count }, figure),
      ]),
    })).filter(({ points }) => points.every(([, y]) => y > 0)),
  })
  return {
    title: SUBJECTS[CHART_MODEL].title,
    xLabel: 'callers, each with one request at a time (both axes logarithmic)',
    panels: [
      panel('answers per second', (figures) => figures.perSecond),
      panel('99th percentile of the latency, ms', (figures) => figures.latency.p99Ms),
    ],
  }
}

function callersOf(grid: Grid): number[] {
  const counts = grid.samples.flatMap(({ cell: { subject, variant, traffic } }) =>
    subject === CHART_MODEL && variant === 'runtime' && 'callers' in traffic ? [traffic.callers] : [],
  )
  return [...new Set(counts)].sort((a, b) => a - b)
}
