import { type Figure, LABELS, type MeasurementTable } from '../../measurements/measurement-table.js'
import type { Chart, Panel } from '../../report/line-chart.js'
import { SUBJECTS } from '../../subjects/subjects.js'
import { CHART_MODEL, CHART_VARIANTS } from './plan.js'

/** Returns a chart of throughput and latency over callers, if several numbers of callers were measured. */
export function chartOf(table: MeasurementTable): Chart | undefined {
  const callers = callersOf(table)
  if (callers.length < 2) return undefined
  const panel = (title: string, figure: Figure): Panel => ({
    title,
    series: CHART_VARIANTS.map((variant) => ({
      name: LABELS[variant],
      points: callers.map((count): [number, number] => [
        count,
        table.median(CHART_MODEL, variant, { callers: count }, figure),
      ]),
    })).filter(({ points }) => points.every(([, y]) => y > 0)),
  })
  return {
    title: SUBJECTS[CHART_MODEL].title,
    xLabel: 'callers, each with one request at a time (both axes logarithmic)',
    panels: [
      panel('requests per second', (figures) => figures.perSecond),
      panel('99th percentile of the latency, ms', (figures) => figures.latency.p99Ms),
    ],
  }
}

function callersOf(table: MeasurementTable): number[] {
  const counts = table.samples.flatMap(({ cell: { subject, variant, traffic } }) =>
    subject === CHART_MODEL && variant === 'runtime' && 'callers' in traffic ? [traffic.callers] : [],
  )
  return [...new Set(counts)].sort((a, b) => a - b)
}
