import { setTimeout as sleep } from 'node:timers/promises'
import { fulfil } from '../harness/child.js'
import { LatencyLog } from '../harness/latency.js'
import { inputsOf, SUBJECTS } from '../subjects/subjects.js'
import { AnswerChecker } from './answer-checker.js'
import { startBareThreads } from './bare-threads.js'
import { closedLoop } from './closed-loop.js'
import { openLoop } from './open-loop.js'
import type { StretchOrder, TrafficFigures } from './stretch-order.js'
import { makeTarget } from './targets.js'
import { measureWindow } from './window.js'

/** One variant under one kind of traffic. */
fulfil<StretchOrder, TrafficFigures>(async (order) => {
  const { variant, traffic } = order
  if (variant === 'ceiling') return ceiling(order, order.niceIncrement)
  if (variant === 'ceiling-nice-0') return ceiling(order, 0)
  const inputs = inputsOf(order.subject)
  const target = await makeTarget[variant](order, inputs)
  const checker = new AnswerChecker(order.references)
  const timed = { ...order, inputs: inputs.length }
  const figures =
    'callers' in traffic
      ? await closedLoop(target.ask, { ...timed, ...traffic }, checker)
      : await openLoop(target.ask, { ...timed, ...traffic }, checker)
  await target.close()
  return figures
})

async function ceiling(order: StretchOrder, niceIncrement: number): Promise<TrafficFigures> {
  const input = SUBJECTS[order.subject].input(0)
  const work = await startBareThreads({ ...order, input, niceIncrement })
  await sleep(order.warmUpMs)
  const window = await measureWindow(() => work.runs(), order.durationMs)
  await work.stop()
  return { ...window, latency: new LatencyLog().figures(), refused: 0, checks: { compared: 0, wrong: 0 } }
}
