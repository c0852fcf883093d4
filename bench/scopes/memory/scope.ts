import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { catalogueCases } from '../../../models/synthetic/catalogue-cases.js'
import { bigLoad } from '../../../models/synthetic/graphs.js'
import { tempFolder } from '../../../models/synthetic/temp-folder.js'
import { runChild } from '../../harness/child.js'
import { atLeast, atMost, reported } from '../../harness/findings.js'
import { median } from '../../harness/latency.js'
import { numberOptions } from '../../harness/options.js'
import type { Finding, Scope, ScopeResult } from '../../harness/scope.js'
import { BenchCache } from '../../measurements/bench-cache.js'
import { HEAVY, HEAVY_NAMES, type HeavyName } from '../../subjects/heavy.js'
import { subjectSources } from '../../subjects/sources.js'
import { SUBJECTS } from '../../subjects/subjects.js'
import {
  BESIDE,
  type Beside,
  type BesideOrder,
  type BesideOutcome,
  type HoldOrder,
  type HoldOutcome,
  KEEPERS,
  type Keeper,
  type RateOrder,
  type RateOutcome,
  type SwapsOrder,
  type SwapsOutcome,
} from './order.js'

const LIMIT_MS = 300_000
const MANY = 4
const SETTLED_SWAPS = 5
const RATE_CALLERS = 4
const TURN_MS = 1_000
const RATE_PER_SECOND = 100

interface Files {
  readonly cacheDir: string
  readonly heavy: Readonly<Record<HeavyName, string>>
  /** Another one of the same size as the first. */
  readonly other: string
}

export const scope: Scope = {
  quantity:
    'memory of replicas and after unloads, cost of loads and swaps, beside threads that each load the file',
  async run(args) {
    const options = numberOptions(args, { rounds: 5, unloads: 20, swaps: 50, seconds: 10, turns: 15 })
    using folder = tempFolder()
    using sources = subjectSources()
    using cache = new BenchCache()
    const files = { ...writeModels(folder.path), cacheDir: cache.path }
    for (const name of HEAVY_NAMES) await cache.prepare(files.heavy[name], HEAVY[name].input)
    await cache.prepare(files.other, HEAVY.matmul.input)
    return await measure(files, sources.paths.iris, options)
  },
}

function writeModels(folder: string): Omit<Files, 'cacheDir'> {
  const write = (name: string, content: Uint8Array): string => {
    const path = join(folder, `${name}.onnx`)
    writeFileSync(path, content)
    return path
  }
  const heavy = Object.fromEntries(HEAVY_NAMES.map((name) => [name, write(name, HEAVY[name].model())]))
  return {
    heavy: heavy as Record<HeavyName, string>,
    // Other bytes, and so another artifact.
    other: write('other', bigLoad(204)),
  }
}

type Options = Readonly<Record<'rounds' | 'unloads' | 'swaps' | 'seconds' | 'turns', number>>

async function measure(files: Files, small: string, options: Options): Promise<ScopeResult> {
  const holds = await measureHolds(files, options)
  const swaps = await measureSwaps(files, options)
  const beside = await measureBeside(files, small, options)
  const rates = await measureRates(files, options)
  return {
    ratios: [
      ...HEAVY_NAMES.flatMap((name) => holdFindings(name, holds[name])),
      ...swapFindings(swaps),
      ...besideFindings(beside),
      ...rates.map(({ name, outcome }) => rateFinding(name, outcome)),
    ],
    figures: {
      ...Object.fromEntries(HEAVY_NAMES.map((name) => [HEAVY[name].title, holdFigures(holds[name])])),
      'latency of a small model, ms, while 200 MB are loaded and swapped beside it': [
        ['beside-child', 'p50', 'p99', 'max', 'loads and swaps'],
        ...BESIDE.map((name) => {
          const { latency, changes } = beside[name]
          return [
            name,
            ...[latency.p50Ms, latency.p99Ms, latency.maxMs].map((ms) => ms.toFixed(2)),
            `${changes}`,
          ]
        }),
      ],
    },
    failures: [
      ...KEEPERS.filter((keeper) => swaps[keeper].lost > 0).map(
        (keeper) => `${keeper}: ${swaps[keeper].lost} requests were lost in swaps`,
      ),
      ...BESIDE.filter((name) => beside[name].rejected > 0).map(
        (name) => `beside ${name}: ${beside[name].rejected} requests were rejected`,
      ),
      ...rates
        .filter(({ outcome }) => outcome.differing > 0)
        .map(({ name }) => `${name}: the artifact answers otherwise`),
    ],
    data: { options, holds, swaps, beside, rates },
  }
}

interface Holds {
  readonly one: Readonly<Record<Keeper, HoldOutcome>>
  /** Each of some rounds, interleaved. */
  readonly many: Readonly<Record<Keeper, readonly HoldOutcome[]>>
  readonly unloads: Readonly<Record<Keeper, HoldOutcome>>
}

async function measureHolds(files: Files, options: Options): Promise<Record<HeavyName, Holds>> {
  const holds: Partial<Record<HeavyName, Holds>> = {}
  for (const name of HEAVY_NAMES) {
    const hold = (keeper: Keeper, replicas: number, rounds: number): Promise<HoldOutcome> => {
      const { input } = HEAVY[name]
      const order: HoldOrder = {
        keeper,
        source: files.heavy[name],
        cacheDir: files.cacheDir,
        input,
        replicas,
        rounds,
      }
      return child('hold-child', order)
    }
    const many: Record<Keeper, HoldOutcome[]> = { runtime: [], naive: [] }
    for (let round = 0; round < options.rounds; round += 1) {
      for (const keeper of KEEPERS) many[keeper].push(await hold(keeper, MANY, 1))
    }
    const both = async (replicas: number, rounds: number): Promise<Record<Keeper, HoldOutcome>> => ({
      runtime: await hold('runtime', replicas, rounds),
      naive: await hold('naive', replicas, rounds),
    })
    holds[name] = { many, one: await both(1, 1), unloads: await both(MANY, options.unloads) }
    process.stderr.write(`${name} is held\n`)
  }
  return holds as Record<HeavyName, Holds>
}

function holdFindings(name: HeavyName, { one, many, unloads }: Holds): Finding[] {
  const { title, weightBytes } = HEAVY[name]
  const shareOf = (keeper: Keeper): number =>
    median(many[keeper].map(({ heldPssBytes }) => heldPssBytes)) / one[keeper].heldPssBytes
  const firstOf = (keeper: Keeper): number => median(many[keeper].map(({ firstReadyMs }) => firstReadyMs))
  const readyOf = (keeper: Keeper): number => median(many[keeper].flatMap(({ readyMs }) => readyMs))
  const leftOf = (keeper: Keeper, after: (outcome: HoldOutcome) => number): number =>
    (after(unloads[keeper]) - unloads[keeper].privateBytesBefore) / weightBytes
  const sinceStartOf = (keeper: Keeper): number => {
    const { anonymousBytesAtStart, anonymousBytesAtEnd } = unloads[keeper]
    return (anonymousBytesAtEnd - anonymousBytesAtStart) / weightBytes
  }
  const first = ({ privateBytesAfter }: HoldOutcome): number => privateBytesAfter[0] ?? Number.NaN
  const last = ({ privateBytesAfter }: HoldOutcome): number => privateBytesAfter.at(-1) ?? Number.NaN
  return [
    atMost(`${title}: memory of ${MANY} replicas / of 1`, shareOf('runtime'), 1.3),
    reported(`${title}: the same, naive`, shareOf('naive')),
    atMost(`${title}: left 1 s after an unload / weights`, leftOf('runtime', first), 0.05),
    atMost(
      `${title}: left after ${unloads.runtime.privateBytesAfter.length} rounds / weights`,
      leftOf('runtime', last),
      0.05,
    ),
    reported(`${title}: the same with what onnxruntime takes once`, sinceStartOf('runtime')),
    reported(`${title}: the same, naive`, sinceStartOf('naive')),
    atMost(
      `${title}: load of ${MANY} replicas from the cache / naive, first of a process`,
      firstOf('runtime') / firstOf('naive'),
      0.35,
    ),
    atMost(
      `${title}: load of ${MANY} replicas from the cache / naive, after another`,
      readyOf('runtime') / readyOf('naive'),
      0.35,
    ),
  ]
}

function holdFigures({ one, many, unloads }: Holds): string[][] {
  const megabytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(0)
  const heldOf = (keeper: Keeper): number => median(many[keeper].map(({ heldPssBytes }) => heldPssBytes))
  const firstOf = (keeper: Keeper): number => median(many[keeper].map(({ firstReadyMs }) => firstReadyMs))
  const readyOf = (keeper: Keeper): number => median(many[keeper].flatMap(({ readyMs }) => readyMs))
  return [
    [
      '',
      '1 replica, MB',
      `${MANY} replicas, MB`,
      'first ready after, ms',
      'then, ms',
      'before, MB',
      'after the rounds, MB',
    ],
    ...KEEPERS.map((keeper) => [
      keeper,
      megabytes(one[keeper].heldPssBytes),
      megabytes(heldOf(keeper)),
      firstOf(keeper).toFixed(0),
      readyOf(keeper).toFixed(0),
      megabytes(unloads[keeper].privateBytesBefore),
      megabytes(unloads[keeper].privateBytesAfter.at(-1) ?? Number.NaN),
    ]),
  ]
}

async function measureSwaps(
  { cacheDir, heavy, other }: Files,
  { swaps }: Options,
): Promise<Record<Keeper, SwapsOutcome>> {
  const swap = (keeper: Keeper): Promise<SwapsOutcome> => {
    const order: SwapsOrder = {
      keeper,
      cacheDir,
      input: HEAVY.matmul.input,
      sources: [heavy.matmul, other],
      swaps,
      callers: RATE_CALLERS,
    }
    return child('swaps-child', order)
  }
  return { runtime: await swap('runtime'), naive: await swap('naive') }
}

function swapFindings(swaps: Readonly<Record<Keeper, SwapsOutcome>>): Finding[] {
  const growthOf = ({ pssBytes }: SwapsOutcome): number =>
    (pssBytes.at(-1) ?? Number.NaN) / (pssBytes[SETTLED_SWAPS - 1] ?? Number.NaN)
  const name = `memory after ${swaps.runtime.pssBytes.length} swaps under load / after ${SETTLED_SWAPS}`
  return [atMost(name, growthOf(swaps.runtime), 1.05), reported(`${name}, naive`, growthOf(swaps.naive))]
}

type AllBeside = Readonly<Record<Beside, BesideOutcome & { readonly p99Ms: readonly number[] }>>

async function measureBeside(
  { cacheDir, heavy, other }: Files,
  small: string,
  { seconds, rounds }: Options,
): Promise<AllBeside> {
  const outcomes = new Map<Beside, BesideOutcome[]>(BESIDE.map((beside) => [beside, []]))
  for (let round = 0; round < rounds; round += 1) {
    for (const beside of BESIDE) {
      const order: BesideOrder = {
        beside,
        cacheDir,
        small,
        smallInput: SUBJECTS.iris.input(0),
        input: HEAVY.matmul.input,
        sources: [heavy.matmul, other],
        ratePerSecond: RATE_PER_SECOND,
        durationMs: seconds * 1_000,
      }
      const outcome = await child<BesideOutcome>('beside-child', order)
      process.stderr.write(`beside ${beside}: p99 ${outcome.latency.p99Ms.toFixed(2)} ms\n`)
      outcomes.get(beside)?.push(outcome)
    }
  }
  return Object.fromEntries(
    BESIDE.map((beside) => [beside, middleOf(outcomes.get(beside) ?? [])]),
  ) as unknown as AllBeside
}

/** The round of the median p99. */
function middleOf(outcomes: readonly BesideOutcome[]): AllBeside[Beside] {
  const sorted = [...outcomes].sort((a, b) => a.latency.p99Ms - b.latency.p99Ms)
  const middle = sorted[Math.floor(sorted.length / 2)] as BesideOutcome
  return { ...middle, p99Ms: outcomes.map(({ latency }) => latency.p99Ms) }
}

function besideFindings(beside: AllBeside): Finding[] {
  const p99 = (name: Beside): number => beside[name].latency.p99Ms
  const ratio = (one: Beside, other: Beside): number => p99(one) / p99(other)
  const title = 'p99 of a small model while 200 MB are loaded and swapped'
  return [
    atMost(`${title} / beside bare busy threads`, ratio('runtime', 'bare'), 1.3),
    reported(`${title}, naive / beside bare busy threads`, ratio('naive', 'bare')),
    atMost(`${title} by one thread / alone`, ratio('runtime-one', 'nothing'), 2),
    reported(`${title} by one thread, naive / alone`, ratio('naive-one', 'nothing')),
    reported('p99 of a small model beside one bare busy thread / alone', ratio('bare-one', 'nothing')),
  ]
}

async function measureRates(
  { cacheDir, heavy }: Files,
  { turns }: Options,
): Promise<{ name: string; outcome: RateOutcome }[]> {
  const rates: { name: string; outcome: RateOutcome }[] = []
  const models = [
    ...HEAVY_NAMES.map((name) => ({
      name: HEAVY[name].title,
      source: heavy[name],
      inputs: [HEAVY[name].input],
    })),
    ...catalogueCases.map(({ name, version, source, input }) => ({
      name: `${name} ${version}`,
      source,
      inputs: [1, 2, 3].map(input),
    })),
  ]
  for (const { name, source, inputs } of models) {
    const order: RateOrder = {
      source,
      cacheDir,
      inputs,
      callers: RATE_CALLERS,
      turns,
      turnMs: TURN_MS,
    }
    const outcome = await child<RateOutcome>('rate-child', order)
    process.stderr.write(`${name}, ${outcome.form}: ${rateOf(outcome).toFixed(3)}\n`)
    rates.push({ name, outcome })
  }
  return rates
}

/** Of turns that were taken one after the other, so that what a machine does in the long run is the same to both. */
function rateOf({ original, artifact }: RateOutcome): number {
  return median(artifact.map((rate, turn) => rate / (original[turn] ?? Number.NaN)))
}

function rateFinding(name: string, outcome: RateOutcome): Finding {
  if (outcome.form === 'original') {
    return reported(
      `${name}, served as it is: answers a second / of the same in the same run`,
      rateOf(outcome),
    )
  }
  return atLeast(`${name}, ${outcome.form}: answers a second / of the original`, rateOf(outcome), 0.97)
}

async function child<Outcome>(script: string, order: object): Promise<Outcome> {
  return await runChild<Outcome>(new URL(`./${script}.js`, import.meta.url), order, LIMIT_MS)
}
