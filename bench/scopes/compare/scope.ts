import { stat } from 'node:fs/promises'
import { runChild } from '../../harness/child.js'
import { atLeast, atMost } from '../../harness/findings.js'
import { installPackage } from '../../harness/installed-package.js'
import { median } from '../../harness/latency.js'
import { number, readOptions, words } from '../../harness/options.js'
import type { Finding, Scope } from '../../harness/scope.js'
import { MeasurementHarness } from '../../measurements/measurement-harness.js'
import { SUBJECT_NAMES, SUBJECTS, type SubjectName } from '../../subjects/subjects.js'
import type { CachedLoadsOrder } from './cached-loads-child.js'
import { compareTraffic, type Side } from './compare-traffic.js'
import { type Pairs, ratioOf } from './pairs.js'
import type { TrackingOrder } from './tracking-child.js'

/** Least throughput and greatest cost that count as unchanged. */
const MIN_RATIO = 0.98
const MAX_RATIO = 1.03
/** Greatest cost of tracking one request. */
const MAX_TRACKING_US = 0.3
const TRACKING = { requests: 100_000, rounds: 11 }
/** Subject that is loaded from the artifact cache. */
const LOADED: SubjectName = 'rec'
const LOADS = { replicas: 4, rounds: 9 }
const LIMIT_MS = 300_000

export const scope: Scope = {
  quantity:
    'second of two packed tarballs over the first, in turns: requests per second, latency of one caller, cost of tracking, loads from the cache',
  async run(args) {
    const firstOption = args.findIndex((arg) => arg.startsWith('-'))
    const tarballs = firstOption === -1 ? args : args.slice(0, firstOption)
    const { models, callers, rounds, slices, warmup } = readOptions(args.slice(tarballs.length), {
      models: words(SUBJECT_NAMES, ['iris', 'vad6', 'cls', 'rec', 'wide']),
      callers: number(64),
      rounds: number(5),
      slices: number(60),
      warmup: number(2),
    })
    const [before, after] = await checkTarballs(tarballs)
    using a = await installPackage(before)
    using b = await installPackage(after)
    using harnessOfA = new MeasurementHarness(a.library)
    using harnessOfB = new MeasurementHarness(b.library)
    const sides = [
      { ...a, harness: harnessOfA },
      { ...b, harness: harnessOfB },
    ] as const
    const options = { callers, rounds, slices, warmUpMs: warmup * 1_000 }
    const traffic: Pairs[] = []
    for (const subject of models) traffic.push(...(await compareTraffic(subject, sides, options)))
    const tracking = await inTurns('request tracker: begin to complete, us', sides, rounds, trackingUs)
    const loading = `${SUBJECTS[LOADED].title}: load of ${LOADS.replicas} replicas from the cache, ms`
    const loads = await inTurns(loading, sides, rounds, loadMs)
    const pairs = [...traffic, tracking, loads]
    return {
      ratios: [
        ...traffic.map(findingOf),
        // The ratio would be noise: costs of 0.1 us differ by some nanoseconds.
        atMost(`${tracking.name}, second`, median(tracking.second), MAX_TRACKING_US),
        findingOf(loads),
      ],
      figures: {
        'medians, and the ratio with its 95 % interval': [
          ['', 'first', 'second', 'ratio', '', 'pairs'],
          ...pairs.map((pair) => {
            const { median: middle, low, high } = ratioOf(pair)
            const interval = `${low.toFixed(3)} - ${high.toFixed(3)}`
            const medians = [figure(median(pair.first)), figure(median(pair.second))]
            return [pair.name, ...medians, middle.toFixed(3), interval, `${pair.first.length}`]
          }),
        ],
      },
      failures: [],
      data: { tarballs, models, callers, rounds, slices, warmup, pairs },
    }
  },
}

/** Measures a cost of both packages, each time in processes of their own. */
async function inTurns(
  name: string,
  [first, second]: readonly [Side, Side],
  rounds: number,
  measure: (side: Side) => Promise<number>,
): Promise<Pairs> {
  const values: { first: number[]; second: number[] } = { first: [], second: [] }
  for (let round = 0; round < rounds; round += 1) {
    const turns = [
      async () => values.first.push(await measure(first)),
      async () => values.second.push(await measure(second)),
    ]
    for (const turn of round % 2 === 0 ? turns : turns.reverse()) await turn()
  }
  return { name, isCost: true, ...values }
}

function findingOf(pairs: Pairs): Finding {
  const ratio = ratioOf(pairs).median
  return pairs.isCost ? atMost(pairs.name, ratio, MAX_RATIO) : atLeast(pairs.name, ratio, MIN_RATIO)
}

function figure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3)
}

async function trackingUs({ library }: Side): Promise<number> {
  const order: TrackingOrder = { library, ...TRACKING }
  return await runChild(new URL('./tracking-child.js', import.meta.url), order, LIMIT_MS)
}

async function loadMs({ library, harness }: Side): Promise<number> {
  const [source, cacheDir] = [harness.sourceOf(LOADED), await harness.cacheOf(LOADED)]
  const order: CachedLoadsOrder = { library, source, cacheDir, ...LOADS }
  return await runChild(new URL('./cached-loads-child.js', import.meta.url), order, LIMIT_MS)
}

async function checkTarballs(tarballs: readonly string[]): Promise<readonly [string, string]> {
  const [a, b] = tarballs
  if (a === undefined || b === undefined || tarballs.length > 2) {
    throw new Error('compare takes two tarballs that `npm pack` has written: compare BEFORE.tgz AFTER.tgz')
  }
  for (const path of [a, b]) await stat(path)
  return [a, b]
}
