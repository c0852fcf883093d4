import { readFileSync } from 'node:fs'
import { type EventLoopUtilization, monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { WindowFigures } from './traffic-figures.js'

const SLICE_MS = 1_000
const DELAY_RESOLUTION_MS = 1
const NANOSECONDS = 1e6

/** Measures this process for `durationMs`, second by second; `completed` returns the number of requests so far. */
export async function measureWindow(completed: () => number, durationMs: number): Promise<WindowFigures> {
  const slices: number[] = []
  const count = Math.max(1, Math.round(durationMs / SLICE_MS))
  const meter = new Meter()
  const startedAt = performance.now()
  const before = completed()
  let slice = { at: startedAt, completed: before }
  for (let index = 1; index <= count; index += 1) {
    await sleep(Math.max(0, startedAt + (durationMs * index) / count - performance.now()))
    const next = { at: performance.now(), completed: completed() }
    slices.push(((next.completed - slice.completed) / (next.at - slice.at)) * 1_000)
    slice = next
  }
  const elapsedMs = slice.at - startedAt
  return { perSecond: ((slice.completed - before) / elapsedMs) * 1_000, slices, ...meter.read(elapsedMs) }
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
      // The histogram records intervals between timers, and a punctual one takes the resolution.
      loopDelayP99Ms: Math.max(0, this.#delay.percentile(99) / NANOSECONDS - DELAY_RESOLUTION_MS),
    }
  }
}

/** Returns the time that the main thread has been on a processor, or NaN if the system does not report it. */
function mainThreadMs(): number {
  try {
    const [onCpuNs] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')
    return Number(onCpuNs) / NANOSECONDS
  } catch {
    return Number.NaN
  }
}
