import { startBareThreads } from '../baselines/bare-threads.js'
import { fulfil } from '../harness/child.js'
import { LatencyLog } from '../harness/latency.js'
import { AnswerChecker } from '../load/answer-checker.js'
import { closedLoop } from '../load/closed-loop.js'
import { openLoop } from '../load/open-loop.js'
import { warmUp } from '../load/warm-up.js'
import { measureWindow } from '../load/window.js'
import { inputsOf, SUBJECTS } from '../subjects/subjects.js'
import type { StretchOrder, TrafficFigures } from './stretch-order.js'
import { makeTarget } from './targets.js'

/** Before requests come at a rate: a rate tells nothing about whether all has warmed up. */
const WARM_UP = { callers: 64, durationMs: 1 }
const RATE_WARM_UP_MS = 500

/** One variant under one kind of traffic. */
fulfil<StretchOrder, TrafficFigures>(async (order) => {
  const { variant, traffic } = order
  if (variant === 'ceiling') return ceiling(order, order.niceIncrement)
  if (variant === 'ceiling-nice-0') return ceiling(order, 0)
  const inputs = inputsOf(order.subject)
  const target = await makeTarget[variant](order, inputs)
  const checker = new AnswerChecker(order.references)
  const timed = { ...order, inputs: inputs.length }
  if ('ratePerSecond' in traffic) await closedLoop(target.ask, { ...timed, ...WARM_UP }, checker)
  const figures =
    'callers' in traffic
      ? await closedLoop(target.ask, { ...timed, ...traffic }, checker)
      : await openLoop(target.ask, { ...timed, ...traffic, warmUpMs: RATE_WARM_UP_MS }, checker)
  await target.close()
  return figures
})

async function ceiling(order: StretchOrder, niceIncrement: number): Promise<TrafficFigures> {
  const input = SUBJECTS[order.subject].input(0)
  const work = await startBareThreads({ ...order, input, niceIncrement })
  await warmUp(() => work.runs(), order.warmUpMs)
  const window = await measureWindow(() => work.runs(), order.durationMs)
  await work.stop()
  return { ...window, latency: new LatencyLog().figures(), refused: 0, checks: { compared: 0, wrong: 0 } }
}
