import type { TrafficFigures } from '../../../../../bench/load/traffic-figures.js'
import type { Cell } from '../../../../../bench/measurements/measurement-harness.js'
import { isUpperBound, type Variant } from '../../../../../bench/measurements/measurement-order.js'
import { type CellSample, NO_CALLERS } from '../../../../../bench/measurements/measurement-table.js'

/** Returns figures with `perSecond` requests per second; `more` overrides any of them. */
function figures(perSecond: number, more: Partial<TrafficFigures> = {}): TrafficFigures {
  return {
    perSecond,
    slices: [perSecond],
    cores: 2,
    mainBusy: 0.2,
    mainUtilisation: 0.25,
    loopDelayP99Ms: 1,
    latency: { count: 1, p50Ms: 1, p90Ms: 2, p99Ms: 3, maxMs: 4 },
    rejected: 0,
    checks: { compared: 1, wrong: 0 },
    ...more,
  }
}

export function sampleOf(cell: Cell, perSecond: number, more?: Partial<TrafficFigures>): CellSample {
  return { cell, figures: figures(perSecond, more), isDisturbed: false }
}

/** Returns a cell of Silero VAD. */
export function vad(variant: Variant, callers: number): Cell {
  return { subject: 'vad6', variant, traffic: isUpperBound(variant) ? NO_CALLERS : { callers } }
}

export const samples: readonly CellSample[] = [
  sampleOf(vad('main-thread', 64), 10),
  sampleOf(vad('runtime', 64), 36),
  sampleOf(vad('runtime', 64), 40, { mainBusy: 0.4 }),
  sampleOf(vad('runtime', 64), 44),
  sampleOf(vad('runtime', 1), 5),
  sampleOf(vad('upper-bound', 0), 20, { loopDelayP99Ms: 0.5 }),
]
