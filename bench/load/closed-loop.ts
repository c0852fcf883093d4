import { setTimeout as sleep } from 'node:timers/promises'
import { LatencyLog } from '../harness/latency.js'
import type { Timing, TrafficFigures } from '../measurements/stretch-order.js'
import type { AnswerChecker } from './answer-checker.js'
import type { Ask } from './target.js'
import { warmUp } from './warm-up.js'
import { measureWindow } from './window.js'

const POLL_MS = 10

export interface ClosedLoopOptions extends Timing {
  readonly callers: number
  /** How many inputs there are. */
  readonly inputs: number
}

/** Callers that each send the next request when the last has been answered. */
export async function closedLoop(
  ask: Ask,
  { callers, inputs, warmUpMs, durationMs }: ClosedLoopOptions,
  checker: AnswerChecker,
): Promise<TrafficFigures> {
  let next = 0
  let answered = 0
  let isOver = false
  let log = new LatencyLog()
  const call = async (): Promise<void> => {
    let sentAt = performance.now()
    while (!isOver) {
      // No two callers ask the same at a time as long as there are enough inputs.
      const index = next
      next = index + 1 === inputs ? 0 : index + 1
      const outputs = await ask(index)
      const now = performance.now()
      answered += 1
      log.record(now - sentAt)
      sentAt = checker.see(index, outputs) ? performance.now() : now
    }
  }
  const loops = Array.from({ length: callers }, call)
  const measured = async (): Promise<TrafficFigures> => {
    await warmUp(() => answered, warmUpMs)
    // Before each caller has had an answer, requests have not waited as long as they will.
    while (answered < callers) await sleep(POLL_MS)
    log = new LatencyLog()
    const window = await measureWindow(() => answered, durationMs)
    isOver = true
    const latency = log.figures()
    await Promise.all(loops)
    return { ...window, latency, refused: 0, checks: checker.checks }
  }
  const [figures] = await Promise.all([measured(), ...loops])
  return figures
}
