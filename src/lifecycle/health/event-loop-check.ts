import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import type { HealthAnswer } from './health-check.js'

/** Delay of the event loop above which requests miss reasonable deadlines. */
const MAX_DELAY_MS = 1_000
const RESOLUTION_MS = 100
const NS_PER_MS = 1e6

/** Measures the delay of the event loop between two checks. */
export class EventLoopCheck {
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })

  constructor() {
    this.#delay.enable()
  }

  /** Returns the result for the time since the last check. */
  check(): HealthAnswer {
    // The histogram records the whole interval, so that a punctual tick counts with the resolution.
    const delayMs = (ns: number): number => Math.max(0, ns / NS_PER_MS - RESOLUTION_MS)
    const p99Ms = this.#delay.count === 0 ? 0 : delayMs(this.#delay.percentile(99))
    const maxMs = this.#delay.count === 0 ? 0 : delayMs(this.#delay.max)
    this.#delay.reset()
    const detail = { p99Ms, maxMs }
    if (p99Ms <= MAX_DELAY_MS) return { status: 'healthy', detail }
    return { status: 'unhealthy', reason: `the event loop was late by ${Math.round(p99Ms)} ms (p99)`, detail }
  }

  stop(): void {
    this.#delay.disable()
  }
}
