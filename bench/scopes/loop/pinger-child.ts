import { Agent, get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { runOrder } from '../../harness/child.js'
import { Latencies } from '../../harness/latency.js'
import type { PingOrder, PingOutcome } from './order.js'

const WARM_UP = 50
/** Resolution of timers. */
const TIMER_MS = 1

/**
 * Sends one ping every `everyMs` from an event loop of its own, without waiting for replies. Latency counts from
 * the intended send time, so that a server that delays the pings delays later ones in the figures too.
 */
runOrder<PingOrder, PingOutcome>(async ({ port, durationMs, everyMs }) => {
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
    // The resolution of the timer does not count as a delay.
    const sentAt = Math.abs(now - intendedAt) <= TIMER_MS ? now : intendedAt
    const settled = ping().then(
      () => latencies.record(performance.now() - sentAt),
      () => {
        failed += 1
      },
    )
    open.push(settled)
  }
  await Promise.all(open)
  agent.destroy()
  return { latency: latencies.figures(), failed }
})
