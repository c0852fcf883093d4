import { atLeast, atMost, reported } from '../../harness/findings.js'
import type { Finding } from '../../harness/scope.js'
import type { Variant } from '../../measurements/measurement-order.js'
import { type Figure, LABELS, type MeasurementTable } from '../../measurements/measurement-table.js'
import { SUBJECTS } from '../../subjects/subjects.js'
import type { ModelName } from './plan.js'

interface Target {
  readonly model: ModelName
  readonly callers: number
  readonly over: Variant
  readonly min: number
}

const TARGETS: readonly Target[] = [
  { model: 'iris', callers: 64, over: 'main-thread', min: 2.5 },
  { model: 'iris', callers: 512, over: 'main-thread', min: 4 },
  { model: 'vad6', callers: 64, over: 'main-thread', min: 3.5 },
  { model: 'detypify', callers: 64, over: 'main-thread', min: 1.2 },
  { model: 'cls', callers: 64, over: 'upper-bound', min: 0.95 },
  { model: 'rec', callers: 64, over: 'upper-bound', min: 0.95 },
  { model: 'iris', callers: 64, over: 'baseline-pool', min: 5 },
  { model: 'vad6', callers: 64, over: 'baseline-pool', min: 2.5 },
  { model: 'detypify', callers: 64, over: 'baseline-pool', min: 1.15 },
  { model: 'cls', callers: 64, over: 'baseline-pool', min: 0.98 },
  { model: 'rec', callers: 64, over: 'baseline-pool', min: 0.98 },
]
const MAX_MAIN_BUSY = 0.3
const MAX_LOOP_DELAY_RATIO = 1.3

const perSecond: Figure = (figures) => figures.perSecond
const mainBusy: Figure = (figures) => figures.mainBusy
const mainUtilisation: Figure = (figures) => figures.mainUtilisation
const loopDelay: Figure = (figures) => figures.loopDelayP99Ms

/** Returns the findings of the cells that were measured. */
export function findingsOf(table: MeasurementTable): Finding[] {
  const all = [...TARGETS.map((target) => throughput(table, target)), ...mainThread(table)]
  return all.filter(({ value }) => value !== 'NaN')
}

function throughput(table: MeasurementTable, { model, callers, over, min }: Target): Finding {
  const rateOf = (variant: Variant): number => table.median(model, variant, { callers }, perSecond)
  const name = `${SUBJECTS[model].title}, ${callers} callers: requests per second, tbcoin / ${LABELS[over]}`
  return atLeast(name, rateOf('runtime') / rateOf(over), min)
}

/** Returns findings on the main thread at the number of callers with which the runtime serves Silero fastest. */
function mainThread(table: MeasurementTable): Finding[] {
  const samples = table.samples.filter(({ cell }) => cell.subject === 'vad6' && cell.variant === 'runtime')
  const traffics = [...new Set(samples.map(({ cell }) => cell.traffic))].filter(
    (traffic) => 'callers' in traffic,
  )
  const rates = traffics.map((traffic) => table.median('vad6', 'runtime', traffic, perSecond))
  const peak = traffics[rates.indexOf(Math.max(...rates))]
  if (peak === undefined) return []
  const medianAtPeak = (variant: Variant, figure: Figure): number =>
    table.median('vad6', variant, peak, figure)
  const title = `${SUBJECTS.vad6.title} at its peak, ${peak.callers} callers`
  const delay = `${title}: p99 of the event loop's delay, tbcoin`
  return [
    atMost(
      `${title}: share of the time the main thread is busy`,
      medianAtPeak('runtime', mainBusy),
      MAX_MAIN_BUSY,
    ),
    reported(`${title}: utilisation of the event loop`, medianAtPeak('runtime', mainUtilisation)),
    atMost(
      `${delay} / ${LABELS['upper-bound']}`,
      medianAtPeak('runtime', loopDelay) / medianAtPeak('upper-bound', loopDelay),
      MAX_LOOP_DELAY_RATIO,
    ),
    reported(
      `${delay} / ${LABELS['upper-bound-nice-0']}`,
      medianAtPeak('runtime', loopDelay) / medianAtPeak('upper-bound-nice-0', loopDelay),
    ),
  ]
}
