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
import { numberOptions } from '../harness/options.js'
import { comparable, measureRounds, medianOf, type Sample } from '../harness/rounds.js'
import type { Scope, ScopeResult } from '../harness/scope.js'

const THREADS = 2
const CALLERS = 16
/** The runtime's default. */
const NICE_INCREMENT = 5
const PING_EVERY_MS = 5
const MAX_P50_MS = 2
const PATIENCE_S = 60
const MAX_P99_RATIO = 1.3

const NAMES: Readonly<Record<Load, string>> = {
  idle: 'a  nothing',
  bare: 'b  two bare threads',
  'bare-nice': `b' two bare threads, nice ${NICE_INCREMENT}`,
  runtime: 'c  the runtime, saturated',
  main: 'd  the main thread itself',
}

/** Of one stretch of pings beside one load. */
interface Figures {
  readonly p50Ms: number
  readonly p90Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  readonly pings: number
  readonly failed: number
  readonly runsPerSecond: number
}

type Stretch = Sample<Load, Figures>
type Medians = Readonly<Record<Load, Figures>>

export const scope: Scope = {
  quantity:
    'latency of an HTTP ping to a server in whose process PP-OCR rec (48 x 320) runs all the time, from the intended send time',
  async run(args) {
    const { seconds, ...options } = numberOptions(args, { rounds: 5, seconds: 5, patience: PATIENCE_S })
    const stretches = await measureRounds(LOADS, options, (load) => measure(load, seconds * 1_000))
    return resultOf(stretches, options.rounds, seconds)
  },
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
  const compared = comparable(stretches)
  const medians = Object.fromEntries(LOADS.map((load) => [load, mediansOf(compared, load)])) as Medians
  const { bare, runtime, main } = medians
  const p99Ratio = runtime.p99Ms / bare.p99Ms
  const caption = `a ping every ${PING_EVERY_MS} ms; ${rounds} interleaved rounds of ${seconds} s; * is disturbed by others on the machine; medians of ${compared !== stretches ? 'the others' : 'all, as some load has no other'}`
  const failed = stretches.reduce((sum, { figures }) => sum + figures.failed, 0)
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
    data: {
      rounds,
      seconds,
      everyMs: PING_EVERY_MS,
      threads: THREADS,
      callers: CALLERS,
      medians,
      stretches: stretches.map(flat),
    },
  }
}

function mediansOf(stretches: readonly Stretch[], load: Load): Figures {
  const of = (key: keyof Figures): number => medianOf(stretches, load, (figures) => figures[key])
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

function flat({ cell, figures, isDisturbed }: Stretch): object {
  return { load: cell, ...figures, isDisturbed }
}

function rowOf(load: Load, medians: Medians, stretches: readonly Stretch[]): string[] {
  const { p50Ms, p90Ms, p99Ms, maxMs, runsPerSecond } = medians[load]
  const own = stretches.filter(({ cell }) => cell === load)
  return [
    NAMES[load],
    ...[p50Ms, p90Ms, p99Ms, maxMs].map(milliseconds),
    own.map(({ figures, isDisturbed }) => `${figures.p99Ms.toFixed(1)}${isDisturbed ? '*' : ''}`).join(' '),
    runsPerSecond.toFixed(1),
  ]
}
