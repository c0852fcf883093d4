import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { LatencyLog } from '../harness/latency.js'
import type { Timing, TrafficFigures } from '../measurements/stretch-order.js'
import type { AnswerChecker } from './answer-checker.js'
import type { Ask } from './target.js'
import { measureWindow } from './window.js'

/** From here on requests of the same millisecond go together, since no timer is finer. */
const BURSTS_FROM_PER_SECOND = 250

export interface OpenLoopOptions extends Timing {
  readonly ratePerSecond: number
  /** How many inputs there are. */
  readonly inputs: number
}

/**
 * Requests at a rate, whether those before have been answered or not. Latency counts from the
 * time a request was meant to be sent, so what holds up the sender does not hide itself.
 */
export async function openLoop(
  ask: Ask,
  { ratePerSecond, inputs, warmUpMs, durationMs }: OpenLoopOptions,
  checker: AnswerChecker,
): Promise<TrafficFigures> {
  const everyMs = 1_000 / ratePerSecond
  const log = new LatencyLog()
  const startedAt = performance.now()
  const measuredFrom = startedAt + warmUpMs
  const endsAt = measuredFrom + durationMs
  let sent = 0
  let settled = 0
  let answered = 0
  let refused = 0
  const send = (intendedAt: number): void => {
    const index = sent % inputs
    sent += 1
    ask(index).then(
      (outputs) => {
        settled += 1
        answered += 1
        if (intendedAt >= measuredFrom) log.record(performance.now() - intendedAt)
        checker.see(index, outputs)
      },
      () => {
        settled += 1
        refused += 1
      },
    )
  }
  const sendAll = async (): Promise<void> => {
    for (let intendedAt = startedAt; intendedAt < endsAt; intendedAt = startedAt + sent * everyMs) {
      // Not even a microtask between requests that are due.
      if (performance.now() < intendedAt) await until(intendedAt, ratePerSecond < BURSTS_FROM_PER_SECOND)
      send(intendedAt)
    }
  }
  const measured = async (): Promise<TrafficFigures> => {
    await sleep(warmUpMs)
    const window = await measureWindow(() => answered, durationMs)
    while (sent > settled || performance.now() < endsAt) await sleep(1)
    return { ...window, latency: log.figures(), refused, checks: checker.checks }
  }
  const [figures] = await Promise.all([measured(), sendAll()])
  return figures
}

/** Waits for that time; `isExact` to less than a millisecond, at the price of a turn of the loop after another. */
async function until(time: number, isExact: boolean): Promise<void> {
  for (;;) {
    const waitMs = time - performance.now()
    if (waitMs <= 0) return
    if (waitMs > 2) await sleep(Math.floor(waitMs) - 1)
    else if (isExact) await setImmediate()
    else await sleep(1)
  }
}
