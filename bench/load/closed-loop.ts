import { setTimeout as sleep } from 'node:timers/promises'
import { LatencyLog } from '../harness/latency.js'
import { measureWindow } from './measure-window.js'
import type { OutputChecker } from './output-checker.js'
import type { SendRequest } from './target.js'
import type { Timing, TrafficFigures } from './traffic-figures.js'
import { warmUp } from './warm-up.js'

const POLL_MS = 10

export interface ClosedLoopOptions extends Timing {
  readonly callers: number
  /** Number of inputs, which callers take in turn. */
  readonly inputs: number
}

/** Runs callers that each send the next request once the last one has settled. */
export async function closedLoop(
  send: SendRequest,
  { callers, inputs, warmUpMs, durationMs }: ClosedLoopOptions,
  checker: OutputChecker,
): Promise<TrafficFigures> {
  let next = 0
  let completed = 0
  let isOver = false
  let log = new LatencyLog()
  const call = async (): Promise<void> => {
    let sentAt = performance.now()
    while (!isOver) {
      // Callers take different inputs as long as there are enough of them.
      const index = next
      next = index + 1 === inputs ? 0 : index + 1
      const outputs = await send(index)
      const now = performance.now()
      completed += 1
      log.record(now - sentAt)
      sentAt = checker.check(index, outputs) ? performance.now() : now
    }
  }
  const loops = Array.from({ length: callers }, call)
  const measured = async (): Promise<TrafficFigures> => {
    await warmUp(() => completed, warmUpMs)
    // Until every caller has completed one request, waiting times are shorter than later.
    while (completed < callers) await sleep(POLL_MS)
    log = new LatencyLog()
    const window = await measureWindow(() => completed, durationMs)
    isOver = true
    const latency = log.figures()
    await Promise.all(loops)
    return { ...window, latency, rejected: 0, checks: checker.checks }
  }
  const [figures] = await Promise.all([measured(), ...loops])
  return figures
}
