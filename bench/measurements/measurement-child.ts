import { startBareThreads } from '../baselines/bare-threads.js'
import { runOrder } from '../harness/child.js'
import { LatencyLog } from '../harness/latency.js'
import { closedLoop } from '../load/closed-loop.js'
import { measureWindow } from '../load/measure-window.js'
import { openLoop } from '../load/open-loop.js'
import { OutputChecker } from '../load/output-checker.js'
import type { TrafficFigures } from '../load/traffic-figures.js'
import { warmUp } from '../load/warm-up.js'
import { inputsOf, SUBJECTS } from '../subjects/subjects.js'
import { makeTarget } from './make-target.js'
import type { MeasurementOrder } from './measurement-order.js'

/** Closed loop before requests at a fixed rate, whose rate cannot show that the warm-up is over. */
const WARM_UP = { callers: 64, durationMs: 1 }
const RATE_WARM_UP_MS = 500

/** Measures one variant under one kind of traffic. */
runOrder<MeasurementOrder, TrafficFigures>(async (order) => {
  const { variant, traffic } = order
  if (variant === 'upper-bound') return measureUpperBound(order, order.niceIncrement)
  if (variant === 'upper-bound-nice-0') return measureUpperBound(order, 0)
  const inputs = inputsOf(order.subject)
  const target = await makeTarget[variant](order, inputs)
  const checker = new OutputChecker(order.references)
  const timed = { ...order, inputs: inputs.length }
  if ('ratePerSecond' in traffic) await closedLoop(target.send, { ...timed, ...WARM_UP }, checker)
  const figures =
    'callers' in traffic
      ? await closedLoop(target.send, { ...timed, ...traffic }, checker)
      : await openLoop(target.send, { ...timed, ...traffic, warmUpMs: RATE_WARM_UP_MS }, checker)
  await target.close()
  return figures
})

async function measureUpperBound(order: MeasurementOrder, niceIncrement: number): Promise<TrafficFigures> {
  const input = SUBJECTS[order.subject].input(0)
  const loop = await startBareThreads({ ...order, input, niceIncrement })
  await warmUp(() => loop.runs(), order.warmUpMs)
  const window = await measureWindow(() => loop.runs(), order.durationMs)
  await loop.stop()
  return { ...window, latency: new LatencyLog().figures(), rejected: 0, checks: { compared: 0, wrong: 0 } }
}
