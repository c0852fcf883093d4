import { milliseconds } from '../../../examples/speech/table.js'
import { BenchChild, runChild } from '../../harness/child.js'
import { atMost, reported } from '../../harness/findings.js'
import { number, readOptions, words } from '../../harness/options.js'
import { comparable, measureRounds, medianOf, type Sample } from '../../harness/rounds.js'
import type { Finding, Scope, ScopeResult } from '../../harness/scope.js'
import { MeasurementHarness, NICE_INCREMENT, THREADS } from '../../measurements/measurement-harness.js'
import { SUBJECTS } from '../../subjects/subjects.js'
import {
  LOADS,
  type Load,
  type LoadOrder,
  type LoadOutcome,
  type PingOrder,
  type PingOutcome,
} from './order.js'

/** Models that keep every thread busy, with the number of callers of the runtime. */
const CALLERS = { rec: 16, vad6: 64 } as const
type BusyModel = keyof typeof CALLERS
const MODELS: readonly BusyModel[] = ['rec', 'vad6']

const PING_EVERY_MS = 5
const MAX_P50_MS = 2
const MAX_P99_RATIO = 1.3

const NAMES: Readonly<Record<Load, string>> = {
  idle: 'a  nothing',
  bare: 'b  two bare threads',
  'bare-nice': `b' two bare threads, nice ${NICE_INCREMENT}`,
  runtime: 'c  the runtime, saturated',
  main: 'd  the main thread itself',
}

interface Cell {
  readonly model: BusyModel
  readonly load: Load
}

/** Figures of the pings beside one load. */
interface Figures {
  readonly p50Ms: number
  readonly p90Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  readonly failed: number
  readonly runsPerSecond: number
}

type LoopSample = Sample<Cell, Figures>
type Medians = Readonly<Record<Load, Figures>>

export const scope: Scope = {
  quantity:
    'latency of an HTTP ping to a server whose process runs a model all the time, from the intended send time',
  async run(args) {
    const { models, seconds, ...options } = readOptions(args, {
      models: words(MODELS),
      rounds: number(5),
      seconds: number(5),
      patience: number(60),
    })
    using harness = new MeasurementHarness()
    const cells = models.flatMap((model) => LOADS.map((load): Cell => ({ model, load })))
    const samples = await measureRounds(cells, options, (cell) => measure(cell, harness, seconds * 1_000))
    return resultOf(models, samples, { ...options, seconds })
  },
}

/** Measures in fresh processes, so that nothing is left over from another load. */
async function measure(
  { model, load }: Cell,
  harness: MeasurementHarness,
  durationMs: number,
): Promise<Figures> {
  const order: LoadOrder = {
    load,
    subject: model,
    source: harness.sourceOf(model),
    cacheDir: await harness.cacheOf(model),
    threads: THREADS,
    callers: CALLERS[model],
    niceIncrement: NICE_INCREMENT,
  }
  using server = new BenchChild<LoadOutcome>(new URL('./server-child.js', import.meta.url), order)
  const port = await server.report<number>('listening')
  const ping: PingOrder = { port, durationMs, everyMs: PING_EVERY_MS }
  const pinger = new URL('./pinger-child.js', import.meta.url)
  const { latency, failed } = await runChild<PingOutcome>(pinger, ping)
  server.send('stop')
  const { runs, durationMs: servedMs } = await server.result()
  const { p50Ms, p90Ms, p99Ms, maxMs } = latency
  return { p50Ms, p90Ms, p99Ms, maxMs, failed, runsPerSecond: runs / (servedMs / 1_000) }
}

function resultOf(
  models: readonly BusyModel[],
  samples: readonly LoopSample[],
  settings: { readonly rounds: number; readonly seconds: number },
): ScopeResult {
  const compared = comparable(samples)
  const selection =
    compared === samples ? 'all rounds, since some load has no undisturbed one' : 'the undisturbed rounds'
  const figures: Record<string, string[][]> = {}
  const ratios: Finding[] = []
  for (const model of models) {
    const medians = Object.fromEntries(
      LOADS.map((load) => [load, mediansOf(compared, model, load)]),
    ) as Medians
    const caption = `${SUBJECTS[model].title}, ${CALLERS[model]} callers; a ping every ${PING_EVERY_MS} ms; ${settings.rounds} interleaved rounds of ${settings.seconds} s; * marks rounds that other processes disturbed; medians of ${selection}`
    figures[caption] = [
      ['beside', 'p50', 'p90', 'p99', 'max', 'p99 by round', 'runs/s'],
      ...LOADS.map((load) => rowOf(model, load, medians[load], samples)),
    ]
    ratios.push(...findingsOf(model, medians))
  }
  const failed = samples.reduce((sum, sample) => sum + sample.figures.failed, 0)
  return {
    ratios,
    figures,
    failures: failed === 0 ? [] : [`${failed} pings failed`],
    data: {
      ...settings,
      everyMs: PING_EVERY_MS,
      threads: THREADS,
      callers: CALLERS,
      samples: samples.map(flat),
    },
  }
}

function findingsOf(model: BusyModel, medians: Medians): Finding[] {
  const { bare, runtime, main } = medians
  const beside = `ping beside ${SUBJECTS[model].title}`
  const niceRatio = runtime.p99Ms / medians['bare-nice'].p99Ms
  return [
    atMost(`${beside}: p99, runtime / two bare threads (c / b)`, runtime.p99Ms / bare.p99Ms, MAX_P99_RATIO),
    reported(`${beside}: p50, runtime / two bare threads (c / b)`, runtime.p50Ms / bare.p50Ms),
    reported(`${beside}: p99, runtime / two bare threads, nice ${NICE_INCREMENT} (c / b')`, niceRatio),
    reported(`${beside}: p50, main thread / runtime (d / c)`, main.p50Ms / runtime.p50Ms),
    reported(
      `${beside}: runs per second, runtime / two bare threads (c / b)`,
      runtime.runsPerSecond / bare.runsPerSecond,
    ),
    {
      name: `${beside}: p50 beside the runtime`,
      value: milliseconds(runtime.p50Ms),
      target: `< ${milliseconds(MAX_P50_MS)}`,
      isMet: runtime.p50Ms < MAX_P50_MS,
    },
  ]
}

function mediansOf(samples: readonly LoopSample[], model: BusyModel, load: Load): Figures {
  const cellSamples = samplesOf(samples, model, load)
  const [first] = cellSamples as [LoopSample]
  const medianFigure = (key: keyof Figures): number =>
    medianOf(cellSamples, first.cell, (figures) => figures[key])
  return {
    p50Ms: medianFigure('p50Ms'),
    p90Ms: medianFigure('p90Ms'),
    p99Ms: medianFigure('p99Ms'),
    maxMs: medianFigure('maxMs'),
    failed: medianFigure('failed'),
    runsPerSecond: medianFigure('runsPerSecond'),
  }
}

function samplesOf(samples: readonly LoopSample[], model: BusyModel, load: Load): LoopSample[] {
  return samples.filter(({ cell }) => cell.model === model && cell.load === load)
}

function flat({ cell, figures, isDisturbed }: LoopSample): object {
  return { ...cell, ...figures, isDisturbed }
}

function rowOf(
  model: BusyModel,
  load: Load,
  { p50Ms, p90Ms, p99Ms, maxMs, runsPerSecond }: Figures,
  samples: readonly LoopSample[],
): string[] {
  const cellSamples = samplesOf(samples, model, load)
  return [
    NAMES[load],
    ...[p50Ms, p90Ms, p99Ms, maxMs].map(milliseconds),
    cellSamples
      .map(({ figures, isDisturbed }) => `${figures.p99Ms.toFixed(1)}${isDisturbed ? '*' : ''}`)
      .join(' '),
    runsPerSecond.toFixed(1),
  ]
}
