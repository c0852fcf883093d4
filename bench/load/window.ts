import { readFileSync } from 'node:fs'
import { type EventLoopUtilization, monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { WindowFigures } from '../measurements/stretch-order.js'

const SLICE_MS = 1_000
const DELAY_RESOLUTION_MS = 1
const NANOSECONDS = 1e6

/** Watches this process for that long, second by second; `answered` counts from any time on. */
export async function measureWindow(answered: () => number, durationMs: number): Promise<WindowFigures> {
  const slices: number[] = []
  const count = Math.max(1, Math.round(durationMs / SLICE_MS))
  const meter = new Meter()
  const startedAt = performance.now()
  const before = answered()
  let slice = { at: startedAt, answered: before }
  for (let index = 1; index <= count; index += 1) {
    await sleep(Math.max(0, startedAt + (durationMs * index) / count - performance.now()))
    const next = { at: performance.now(), answered: answered() }
    slices.push(((next.answered - slice.answered) / (next.at - slice.at)) * 1_000)
    slice = next
  }
  const elapsedMs = slice.at - startedAt
  return { perSecond: ((slice.answered - before) / elapsedMs) * 1_000, slices, ...meter.read(elapsedMs) }
}

class Meter {
  readonly #cpu = process.cpuUsage()
  readonly #mainMs = mainThreadMs()
  readonly #utilisation: EventLoopUtilization = performance.eventLoopUtilization()
  readonly #delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS })

  constructor() {
    this.#delay.enable()
  }

  read(elapsedMs: number): Omit<WindowFigures, 'perSecond' | 'slices'> {
    this.#delay.disable()
    const { user, system } = process.cpuUsage(this.#cpu)
    return {
      cores: (user + system) / 1_000 / elapsedMs,
      mainBusy: (mainThreadMs() - this.#mainMs) / elapsedMs,
      mainUtilisation: performance.eventLoopUtilization(this.#utilisation).utilization,
      // It records the intervals between timers, of which one that is on time takes the resolution.
      loopDelayP99Ms: Math.max(0, this.#delay.percentile(99) / NANOSECONDS - DELAY_RESOLUTION_MS),
    }
  }
}

/** Time that the main thread has been on a processor; NaN where the system does not tell. */
function mainThreadMs(): number {
  try {
    const [onCpuNs] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')
    return Number(onCpuNs) / NANOSECONDS
  } catch {
    return Number.NaN
  }
}
