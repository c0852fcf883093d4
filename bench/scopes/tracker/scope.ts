import { AsyncLocalStorage } from 'node:async_hooks'
import { systemClock } from '../../../src/platform/clock.js'
import { RunRequest } from '../../../src/pools/queue/run-request.js'
import { RequestTracker } from '../../../src/requests/request-tracker.js'
import { median } from '../../harness/latency.js'
import { numberOptions } from '../../harness/options.js'
import type { Finding, Scope, ScopeResult } from '../../harness/scope.js'

const MAX_COST_US = 0.3
/** Number of requests that are open at the same time. */
const OPEN = 32
const MICROSECONDS = 1_000
const NO_OPTIONS = Object.freeze({})
const OUTPUTS = Object.freeze({})

/** Path of a request, measured with a tracker and, as the baseline, without one. */
interface RequestPath {
  readonly name: string
  readonly isQueued: boolean
  /** The request runs inside the `run` of a transaction; the baseline runs inside another AsyncLocalStorage. */
  readonly isNested: boolean
  readonly hasListener: boolean
}

/** The nested path comes last: from the first `run` on, every promise of the process costs more. */
const PATHS: readonly RequestPath[] = [
  { name: 'straight to a replica', isQueued: false, isNested: false, hasListener: false },
  { name: 'through the queue', isQueued: true, isNested: false, hasListener: false },
  { name: 'through the queue, with a listener', isQueued: true, isNested: false, hasListener: true },
  { name: 'through the queue, in a transaction', isQueued: true, isNested: true, hasListener: false },
]

interface Cost {
  readonly name: string
  readonly hasListener: boolean
  /** Median cost per request without the tracker. */
  readonly withoutUs: number
  readonly withUs: number
  /** Median of the differences of the rounds. */
  readonly differenceUs: number
  readonly differencesUs: readonly number[]
}

export const scope: Scope = {
  quantity: 'processor time, in microseconds per request, that the request tracker adds',
  run(args) {
    const options = numberOptions(args, { requests: 100_000, rounds: 41 })
    const costs = PATHS.map((path) => costOf(path, options.requests, options.rounds))
    return Promise.resolve(resultOf(costs, clockUs(options.requests), options))
  },
}

/** Measures with and without the tracker in turn; each comes first in every other round, so that a drift affects both. */
function costOf(path: RequestPath, requests: number, rounds: number): Cost {
  const tracker = new RequestTracker()
  if (path.hasListener) tracker.on('settled', () => undefined)
  // All rounds share one: on Node 20 each AsyncLocalStorage that has ever run adds to the cost of every promise.
  const otherStorage = new AsyncLocalStorage<number>()
  const measure = (tracked: RequestTracker | undefined): number => {
    const measureOnce = (): number => timeUs(tracked, path.isQueued, requests)
    globalThis.gc?.()
    if (!path.isNested) return measureOnce()
    if (tracked === undefined) return otherStorage.run(1, measureOnce)
    using transaction = tracked.begin('transaction')
    return transaction.run(measureOnce)
  }
  const without: number[] = []
  const within: number[] = []
  // Two extra rounds, for the compiler.
  for (let round = -2; round < rounds; round += 1) {
    const isFirst = round % 2 === 0
    const first = measure(isFirst ? tracker : undefined)
    const second = measure(isFirst ? undefined : tracker)
    if (round < 0) continue
    within.push(isFirst ? first : second)
    without.push(isFirst ? second : first)
  }
  const differencesUs = within.map((time, round) => time - (without[round] as number))
  return {
    name: path.name,
    hasListener: path.hasListener,
    withoutUs: median(without),
    withUs: median(within),
    differenceUs: median(differencesUs),
    differencesUs,
  }
}

/** Returns the processor time per request, in the steps that the predictor and the pool take. */
function timeUs(tracker: RequestTracker | undefined, isQueued: boolean, requests: number): number {
  const open: RunRequest[] = []
  const before = process.cpuUsage()
  for (let done = 0; done < requests; done += OPEN) {
    for (let i = 0; i < OPEN; i += 1) {
      const tracked = tracker?.receive('vad')
      if (tracked !== undefined) tracked.version = '5'
      open[i] = new RunRequest(systemClock, 'vad', '5', NO_OPTIONS, undefined, tracked)
    }
    if (isQueued) for (const request of open) request.markQueued()
    for (const request of open) request.start(performance.now())
    for (const request of open) request.resolve(OUTPUTS)
  }
  const { user, system } = process.cpuUsage(before)
  return (user + system) / requests
}

/** Returns the range from the lower to the upper quartile. */
function middleHalf(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number): string => (sorted[Math.floor(share * (sorted.length - 1))] as number).toFixed(3)
  return `${at(0.25)} to ${at(0.75)}`
}

/** Returns the cost of one reading of the clock; a queued request takes one more reading. */
function clockUs(readings: number): number {
  const startedAtMs = performance.now()
  for (let i = 0; i < readings; i += 1) performance.now()
  return ((performance.now() - startedAtMs) * MICROSECONDS) / readings
}

function resultOf(costs: readonly Cost[], clock: number, options: object): ScopeResult {
  const ratios = costs.map(({ name, hasListener, differenceUs }): Finding => {
    const value = `${differenceUs.toFixed(3)} us`
    if (hasListener) return { name, value }
    return { name, value, target: `<= ${MAX_COST_US} us`, isMet: differenceUs <= MAX_COST_US }
  })
  return {
    ratios,
    figures: {
      [`microseconds per request, ${OPEN} open at a time; one reading of the clock takes ${clock.toFixed(3)}`]:
        [
          ['path', 'without', 'with', 'difference', 'middle half of the rounds'],
          ...costs.map((cost) => [
            cost.name,
            cost.withoutUs.toFixed(3),
            cost.withUs.toFixed(3),
            cost.differenceUs.toFixed(3),
            middleHalf(cost.differencesUs),
          ]),
        ],
    },
    failures: ratios.filter(({ isMet }) => isMet === false).map(({ name, value }) => `${name}: ${value}`),
    data: { ...options, openAtATime: OPEN, maxCostUs: MAX_COST_US, clockUs: clock, costs },
  }
}
