import { stat } from 'node:fs/promises'
import { runChild } from '../../harness/child.js'
import { atLeast, atMost } from '../../harness/findings.js'
import { installPackage } from '../../harness/installed-package.js'
import { median } from '../../harness/latency.js'
import { number, readOptions, words } from '../../harness/options.js'
import { measureRounds, type Sample } from '../../harness/rounds.js'
import type { Finding, Scope } from '../../harness/scope.js'
import { MeasurementHarness } from '../../measurements/measurement-harness.js'
import { SUBJECT_NAMES, SUBJECTS, type SubjectName } from '../../subjects/subjects.js'
import type { CachedLoadsOrder } from './cached-loads-child.js'
import type { TrackingOrder } from './tracking-child.js'

/** Difference between two builds of the same code, measured on two shared cores. */
const NOISE = 0.05
/** Subjects that are also measured with one caller. */
const LATENCY_SUBJECTS: readonly SubjectName[] = ['iris', 'vad6', 'cls']
const TRACKING = { requests: 100_000, rounds: 11 }
/** Subject that is loaded from the artifact cache. */
const LOADED: SubjectName = 'rec'
const LOADS = { replicas: 4, rounds: 9 }
const LIMIT_MS = 300_000

/** One of the two packages, with its harness. */
interface Side {
  readonly library: string
  readonly harness: MeasurementHarness
}

/** One quantity of one of the two packages. */
interface Cell {
  readonly name: string
  readonly side: 'a' | 'b'
  readonly isCost: boolean
  measure(side: Side): Promise<number>
}

export const scope: Scope = {
  quantity:
    'second of two packed tarballs over the first, in turns: requests per second, latency of one caller, cost of tracking, loads from the cache',
  async run(args) {
    const firstOption = args.findIndex((arg) => arg.startsWith('-'))
    const tarballs = firstOption === -1 ? args : args.slice(0, firstOption)
    const { models, callers, seconds, warmup, ...rounds } = readOptions(args.slice(tarballs.length), {
      models: words(SUBJECT_NAMES, ['iris', 'vad6', 'cls', 'rec', 'wide']),
      callers: number(64),
      seconds: number(3),
      warmup: number(2),
      rounds: number(7),
      patience: number(300),
    })
    const [before, after] = await checkTarballs(tarballs)
    using a = await installPackage(before)
    using b = await installPackage(after)
    using harnessOfA = new MeasurementHarness(a.library)
    using harnessOfB = new MeasurementHarness(b.library)
    const sides = { a: { ...a, harness: harnessOfA }, b: { ...b, harness: harnessOfB } }
    const timing = { warmUpMs: warmup * 1_000, durationMs: seconds * 1_000 }
    const throughput = models.map((subject) => ({
      name: `${SUBJECTS[subject].title}: requests per second, ${callers} callers`,
      isCost: false,
      measure: async ({ harness }: Side) =>
        (await harness.measure({ subject, variant: 'runtime', traffic: { callers } }, timing)).perSecond,
    }))
    const latency = LATENCY_SUBJECTS.filter((subject) => models.includes(subject)).map((subject) => ({
      name: `${SUBJECTS[subject].title}: median latency of one caller, ms`,
      isCost: true,
      measure: async ({ harness }: Side) =>
        (await harness.measure({ subject, variant: 'runtime', traffic: { callers: 1 } }, timing)).latency
          .p50Ms,
    }))
    const tracking = { name: 'request tracker: begin to complete, us', isCost: true, measure: trackingUs }
    const loads = {
      name: `${SUBJECTS[LOADED].title}: load of ${LOADS.replicas} replicas from the cache, ms`,
      isCost: true,
      measure: loadMs,
    }
    const cells = [...throughput, ...latency, tracking, loads].flatMap((quantity): Cell[] => [
      { ...quantity, side: 'a' },
      { ...quantity, side: 'b' },
    ])
    const samples = await measureRounds(cells, rounds, ({ side, measure }) => measure(sides[side]))
    const names = [...new Set(cells.map(({ name }) => name))]
    const pairs = names.map((name) => pairsOf(samples, name))
    return {
      ratios: pairs.map(findingOf),
      figures: {
        'medians, and the ratio of each round': [
          ['', 'first', 'second', 'each round'],
          ...pairs.map(({ name, a: first, b: second, ratios }) => [
            name,
            figure(median(first)),
            figure(median(second)),
            ratios.map((ratio) => ratio.toFixed(2)).join(' '),
          ]),
        ],
      },
      failures: [],
      data: { ...rounds, tarballs, callers, seconds, warmup, pairs },
    }
  },
}

/** Values of one quantity, round by round. */
interface Pairs {
  readonly name: string
  readonly isCost: boolean
  readonly a: readonly number[]
  readonly b: readonly number[]
  /** Ratio of the second to the first, by round. */
  readonly ratios: readonly number[]
}

function pairsOf(samples: readonly Sample<Cell, number>[], name: string): Pairs {
  const valuesOf = (side: Cell['side']): number[] =>
    samples.filter(({ cell }) => cell.name === name && cell.side === side).map(({ figures }) => figures)
  const [a, b] = [valuesOf('a'), valuesOf('b')]
  const isCost = samples.some(({ cell }) => cell.name === name && cell.isCost)
  return { name, isCost, a, b, ratios: b.map((value, round) => value / (a[round] as number)) }
}

function findingOf({ name, isCost, ratios }: Pairs): Finding {
  const ratio = median(ratios)
  return isCost ? atMost(name, ratio, 1 + NOISE) : atLeast(name, ratio, 1 - NOISE)
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
