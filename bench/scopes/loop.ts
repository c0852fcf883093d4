import { milliseconds } from '../../examples/speech/table.js'
import { modelPath } from '../../models/catalogue.js'
import {
  LOADS,
  type Load,
  type LoadOrder,
  type LoadOutcome,
  type PingOrder,
  type PingOutcome,
} from '../children/loop-orders.js'
import { BenchChild } from '../harness/child.js'
import { median } from '../harness/latency.js'
import { numberOptions } from '../harness/options.js'
import { isQuiet, waitForQuiet } from '../harness/quiet.js'
import type { Scope, ScopeResult } from '../harness/scope.js'

const THREADS = 2
const CALLERS = 16
/** The runtime's default. */
const NICE_INCREMENT = 5
const PING_EVERY_MS = 5
const MAX_P50_MS = 2
/** Seconds that may go on waiting for a quiet machine and on tries that were disturbed. */
const PATIENCE_S = 60
const MAX_P99_RATIO = 1.3

const NAMES: Readonly<Record<Load, string>> = {
  idle: 'a  nothing',
  bare: 'b  two bare threads',
  'bare-nice': `b' two bare threads, nice ${NICE_INCREMENT}`,
  runtime: 'c  the runtime, saturated',
  main: 'd  the main thread itself',
}

/** One stretch of pings beside one load. */
interface Stretch {
  readonly load: Load
  readonly p50Ms: number
  readonly p90Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  readonly pings: number
  readonly failed: number
  readonly runsPerSecond: number
  /** Somebody else kept the machine busy just before or after. */
  readonly isDisturbed: boolean
}

type Figures = Omit<Stretch, 'load' | 'isDisturbed'>
type Medians = Readonly<Record<Load, Figures>>

export const scope: Scope = {
  quantity:
    'latency of an HTTP ping to a server in whose process PP-OCR rec (48 x 320) runs all the time, from the intended send time',
  async run(args) {
    const { rounds, seconds, patience } = numberOptions(args, { rounds: 5, seconds: 5, patience: PATIENCE_S })
    const budget = { patienceMs: patience * 1_000 }
    const stretches: Stretch[] = []
    for (let round = 0; round < rounds; round += 1) {
      // Interleaved, and back and forth, so that a disturbance or a drift meets all of them.
      for (const load of round % 2 === 0 ? LOADS : [...LOADS].reverse()) {
        stretches.push(await measureInQuiet(load, seconds * 1_000, budget))
      }
    }
    return resultOf(stretches, rounds, seconds)
  },
}

/** Waits for a quiet machine and tries again what was disturbed, as long as there is patience left. */
async function measureInQuiet(
  load: Load,
  durationMs: number,
  budget: { patienceMs: number },
): Promise<Stretch> {
  for (;;) {
    const arrivedAt = performance.now()
    const wasQuiet = await waitForQuiet(budget.patienceMs)
    const startedAt = performance.now()
    budget.patienceMs -= startedAt - arrivedAt
    const figures = await measure(load, durationMs)
    const isDisturbed = !wasQuiet || !(await isQuiet())
    if (!isDisturbed || budget.patienceMs <= 0) return { load, ...figures, isDisturbed }
    budget.patienceMs -= performance.now() - startedAt
  }
}

/** Server and pinger are fresh processes, so that nothing is left over from another load. */
async function measure(load: Load, durationMs: number): Promise<Figures> {
  const order: LoadOrder = {
    load,
    source: modelPath('ocr-rec', '4'),
    threads: THREADS,
    callers: CALLERS,
    niceIncrement: NICE_INCREMENT,
  }
  using server = new BenchChild<LoadOutcome>(new URL('../children/loop-server.js', import.meta.url), order)
  const port = await server.report<number>('listening')
  const ping: PingOrder = { port, durationMs, everyMs: PING_EVERY_MS }
  using pinger = new BenchChild<PingOutcome>(new URL('../children/loop-pinger.js', import.meta.url), ping)
  const { latency, failed } = await pinger.result()
  server.tell('stop')
  const { runs, durationMs: servedMs } = await server.result()
  const { count: pings, p50Ms, p90Ms, p99Ms, maxMs } = latency
  return { p50Ms, p90Ms, p99Ms, maxMs, pings, failed, runsPerSecond: runs / (servedMs / 1_000) }
}

function resultOf(stretches: readonly Stretch[], rounds: number, seconds: number): ScopeResult {
  const medians = Object.fromEntries(LOADS.map((load) => [load, medianOf(stretches, load)])) as Medians
  const { bare, runtime, main } = medians
  const p99Ratio = runtime.p99Ms / bare.p99Ms
  const isQuietOnly = comparable(stretches) !== stretches
  const caption = `a ping every ${PING_EVERY_MS} ms; ${rounds} interleaved rounds of ${seconds} s; * is disturbed by others on the machine; medians of ${isQuietOnly ? 'the others' : 'all, as some load has no other'}`
  const failed = stretches.reduce((sum, stretch) => sum + stretch.failed, 0)
  return {
    ratios: [
      {
        name: 'p99, runtime / two bare threads (c / b)',
        value: p99Ratio.toFixed(2),
        target: `<= ${MAX_P99_RATIO}`,
        isMet: p99Ratio <= MAX_P99_RATIO,
      },
      { name: 'p50, runtime / two bare threads (c / b)', value: (runtime.p50Ms / bare.p50Ms).toFixed(2) },
      {
        name: "p99, runtime / two bare threads as nice (c / b')",
        value: (runtime.p99Ms / medians['bare-nice'].p99Ms).toFixed(2),
      },
      { name: 'p50, main thread / runtime (d / c)', value: (main.p50Ms / runtime.p50Ms).toFixed(1) },
      {
        name: 'runs per second, runtime / two bare threads (c / b)',
        value: (runtime.runsPerSecond / bare.runsPerSecond).toFixed(2),
      },
      {
        name: 'p50 beside the runtime',
        value: milliseconds(runtime.p50Ms),
        target: `< ${milliseconds(MAX_P50_MS)}`,
        isMet: runtime.p50Ms < MAX_P50_MS,
      },
    ],
    figures: {
      [caption]: [
        ['beside', 'p50', 'p90', 'p99', 'max', 'p99 of each round', 'runs/s'],
        ...LOADS.map((load) => rowOf(load, medians, stretches)),
      ],
    },
    failures: failed === 0 ? [] : [`${failed} pings failed`],
    data: { rounds, seconds, everyMs: PING_EVERY_MS, threads: THREADS, callers: CALLERS, medians, stretches },
  }
}

/** The undisturbed stretches if every load has one: a quiet one beside a disturbed one would tell nothing. */
function comparable(stretches: readonly Stretch[]): readonly Stretch[] {
  const undisturbed = stretches.filter((stretch) => !stretch.isDisturbed)
  const hasAll = LOADS.every((load) => undisturbed.some((stretch) => stretch.load === load))
  return hasAll ? undisturbed : stretches
}

function medianOf(stretches: readonly Stretch[], load: Load): Figures {
  const own = comparable(stretches).filter((stretch) => stretch.load === load)
  const of = (key: keyof Figures): number => median(own.map((stretch) => stretch[key]))
  return {
    p50Ms: of('p50Ms'),
    p90Ms: of('p90Ms'),
    p99Ms: of('p99Ms'),
    maxMs: of('maxMs'),
    pings: of('pings'),
    failed: of('failed'),
    runsPerSecond: of('runsPerSecond'),
  }
}

function rowOf(load: Load, medians: Medians, stretches: readonly Stretch[]): string[] {
  const { p50Ms, p90Ms, p99Ms, maxMs, runsPerSecond } = medians[load]
  const own = stretches.filter((stretch) => stretch.load === load)
  return [
    NAMES[load],
    ...[p50Ms, p90Ms, p99Ms, maxMs].map(milliseconds),
    own.map(({ p99Ms, isDisturbed }) => `${p99Ms.toFixed(1)}${isDisturbed ? '*' : ''}`).join(' '),
    runsPerSecond.toFixed(1),
  ]
}
