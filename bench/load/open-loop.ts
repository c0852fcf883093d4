import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { LatencyLog } from '../harness/latency.js'
import { measureWindow } from './measure-window.js'
import type { OutputChecker } from './output-checker.js'
import type { SendRequest } from './target.js'
import type { Timing, TrafficFigures } from './traffic-figures.js'

/** Rate from which requests of one millisecond are sent together, since no timer is finer. */
const BURSTS_FROM_PER_SECOND = 250

export interface OpenLoopOptions extends Timing {
  readonly ratePerSecond: number
  /** Number of inputs, which requests take in turn. */
  readonly inputs: number
}

/**
 * Sends requests at a fixed rate without waiting for their outputs. Latency counts from the intended
 * send time, so that a delay of the sender counts too.
 */
export async function openLoop(
  send: SendRequest,
  { ratePerSecond, inputs, warmUpMs, durationMs }: OpenLoopOptions,
  checker: OutputChecker,
): Promise<TrafficFigures> {
  const everyMs = 1_000 / ratePerSecond
  const log = new LatencyLog()
  const startedAt = performance.now()
  const measuredFrom = startedAt + warmUpMs
  const endsAt = measuredFrom + durationMs
  let sent = 0
  let settled = 0
  let completed = 0
  let rejected = 0
  const sendOne = (intendedAt: number): void => {
    const index = sent % inputs
    sent += 1
    send(index).then(
      (outputs) => {
        settled += 1
        completed += 1
        if (intendedAt >= measuredFrom) log.record(performance.now() - intendedAt)
        checker.check(index, outputs)
      },
      () => {
        settled += 1
        rejected += 1
      },
    )
  }
  const sendAll = async (): Promise<void> => {
    for (let intendedAt = startedAt; intendedAt < endsAt; intendedAt = startedAt + sent * everyMs) {
      // Due requests are sent without even a microtask between them.
      if (performance.now() < intendedAt) await until(intendedAt, ratePerSecond < BURSTS_FROM_PER_SECOND)
      sendOne(intendedAt)
    }
  }
  const measured = async (): Promise<TrafficFigures> => {
    await sleep(warmUpMs)
    const window = await measureWindow(() => completed, durationMs)
    while (sent > settled || performance.now() < endsAt) await sleep(1)
    return { ...window, latency: log.figures(), rejected, checks: checker.checks }
  }
  const [figures] = await Promise.all([measured(), sendAll()])
  return figures
}

/** Waits until `time`; `isExact` polls the event loop to be exact to less than a millisecond. */
async function until(time: number, isExact: boolean): Promise<void> {
  for (;;) {
    const waitMs = time - performance.now()
    if (waitMs <= 0) return
    if (waitMs > 2) await sleep(Math.floor(waitMs) - 1)
    else if (isExact) await setImmediate()
    else await sleep(1)
  }
}
