import { Agent, get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { fulfil } from '../../harness/child.js'
import { Latencies } from '../../harness/latency.js'
import type { PingOrder, PingOutcome } from './order.js'

const WARM_UP = 50
/** Timers are no finer. */
const TIMER_MS = 1

/**
 * Pings from an event loop of its own, one every so often whether the last has been answered
 * or not. Latency counts from the time a ping was meant to be sent, so that a server that
 * holds up the pings does not hide what it did to those that could not be sent.
 */
fulfil<PingOrder, PingOutcome>(async ({ port, durationMs, everyMs }) => {
  const agent = new Agent({ keepAlive: true })
  const latencies = new Latencies()
  let failed = 0
  const ping = async (): Promise<void> => {
    await new Promise<void>((resolve, reject) => {
      get({ host: '127.0.0.1', port, agent }, (response) => {
        response.resume().on('end', resolve).on('error', reject)
      }).on('error', reject)
    })
  }
  for (let index = 0; index < WARM_UP; index += 1) await ping()
  const open: Promise<void>[] = []
  const startedAt = performance.now()
  for (let intendedMs = 0; intendedMs < durationMs; intendedMs += everyMs) {
    const waitMs = startedAt + intendedMs - performance.now()
    if (waitMs > 0) await sleep(waitMs)
    const intendedAt = startedAt + intendedMs
    const now = performance.now()
    // One that the timer made early or late is on time.
    const sentAt = Math.abs(now - intendedAt) <= TIMER_MS ? now : intendedAt
    const answered = ping().then(
      () => latencies.record(performance.now() - sentAt),
      () => {
        failed += 1
      },
    )
    open.push(answered)
  }
  await Promise.all(open)
  agent.destroy()
  return { latency: latencies.figures(), failed }
})
