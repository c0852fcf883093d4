import { atLeast, atMost, told } from '../../harness/findings.js'
import type { Finding } from '../../harness/scope.js'
import { type Figure, type Grid, LABELS } from '../../measurements/grid.js'
import type { Variant } from '../../measurements/stretch-order.js'
import { SUBJECTS } from '../../subjects/subjects.js'
import type { ModelName } from './plan.js'

interface Target {
  readonly model: ModelName
  readonly callers: number
  readonly over: Variant
  readonly min: number
}

const TARGETS: readonly Target[] = [
  { model: 'iris', callers: 64, over: 'raw', min: 2.5 },
  { model: 'iris', callers: 512, over: 'raw', min: 4 },
  { model: 'vad6', callers: 64, over: 'raw', min: 3.5 },
  { model: 'detypify', callers: 64, over: 'raw', min: 1.2 },
  { model: 'cls', callers: 64, over: 'ceiling', min: 0.95 },
  { model: 'rec', callers: 64, over: 'ceiling', min: 0.95 },
  { model: 'iris', callers: 64, over: 'hand', min: 5 },
  { model: 'vad6', callers: 64, over: 'hand', min: 2.5 },
  { model: 'detypify', callers: 64, over: 'hand', min: 1.15 },
  { model: 'cls', callers: 64, over: 'hand', min: 0.98 },
  { model: 'rec', callers: 64, over: 'hand', min: 0.98 },
]
const MAX_MAIN_BUSY = 0.3
const MAX_LOOP_DELAY_RATIO = 1.3

const perSecond: Figure = (figures) => figures.perSecond
const mainBusy: Figure = (figures) => figures.mainBusy
const mainUtilisation: Figure = (figures) => figures.mainUtilisation
const loopDelay: Figure = (figures) => figures.loopDelayP99Ms

/** Only of what has been measured. */
export function findingsOf(grid: Grid): Finding[] {
  const all = [...TARGETS.map((target) => throughput(grid, target)), ...mainThread(grid)]
  return all.filter(({ value }) => value !== 'NaN')
}

function throughput(grid: Grid, { model, callers, over, min }: Target): Finding {
  const of = (variant: Variant): number => grid.median(model, variant, { callers }, perSecond)
  const name = `${SUBJECTS[model].title}, ${callers} callers: answers per second, tbcoin / ${LABELS[over]}`
  return atLeast(name, of('runtime') / of(over), min)
}

/** Where most Silero answers come from the runtime. */
function mainThread(grid: Grid): Finding[] {
  const own = grid.samples.filter(({ cell }) => cell.subject === 'vad6' && cell.variant === 'runtime')
  const traffics = [...new Set(own.map(({ cell }) => cell.traffic))].filter((traffic) => 'callers' in traffic)
  const rates = traffics.map((traffic) => grid.median('vad6', 'runtime', traffic, perSecond))
  const peak = traffics[rates.indexOf(Math.max(...rates))]
  if (peak === undefined) return []
  const of = (variant: Variant, figure: Figure): number => grid.median('vad6', variant, peak, figure)
  const where = `${SUBJECTS.vad6.title} at its peak, ${peak.callers} callers`
  const delay = `${where}: p99 of the event loop's delay, tbcoin`
  return [
    atMost(`${where}: share of the time the main thread is busy`, of('runtime', mainBusy), MAX_MAIN_BUSY),
    told(`${where}: utilisation of the event loop`, of('runtime', mainUtilisation)),
    atMost(
      `${delay} / ${LABELS.ceiling}`,
      of('runtime', loopDelay) / of('ceiling', loopDelay),
      MAX_LOOP_DELAY_RATIO,
    ),
    told(
      `${delay} / ${LABELS['ceiling-nice-0']}`,
      of('runtime', loopDelay) / of('ceiling-nice-0', loopDelay),
    ),
  ]
}
