import { type MeasurementHarness, THREADS } from '../../measurements/measurement-harness.js'
import { SUBJECTS, type SubjectName } from '../../subjects/subjects.js'
import { Contender } from './contender.js'
import type { SliceOrder } from './contender-child.js'
import type { Pairs } from './pairs.js'

/** One of the two packages, with its harness. */
export interface Side {
  readonly library: string
  readonly harness: MeasurementHarness
}

export interface TrafficOptions {
  readonly callers: number
  /** How often both packages are started anew. */
  readonly rounds: number
  /** Pairs of slices of each quantity in one round, at most. */
  readonly slices: number
  readonly warmUpMs: number
}

/** A slice is short, so that what else happens on the machine meets both packages. */
const SLICE_MS = 100
/** Requests that each caller sends in a slice, at least. */
const REQUESTS_PER_CALLER = 2
/** A round of a slow model ends early: its slices are long, and differ less. */
const MAX_ROUND_MS = 25_000

/**
 * Measures requests per second and the latency of one caller of a subject. A process of each package stays up, and
 * they take turns: one is idle while the other one serves a slice of traffic.
 */
export async function compareTraffic(
  subject: SubjectName,
  sides: readonly [Side, Side],
  options: TrafficOptions,
): Promise<Pairs[]> {
  const { title } = SUBJECTS[subject]
  const perSecond = { name: `${title}: requests per second, ${options.callers} callers`, isCost: false }
  const latency = { name: `${title}: median latency of one caller, ms`, isCost: true }
  const values = { perSecond: [[], []] as number[][], p50Ms: [[], []] as number[][] }
  for (let round = 0; round < options.rounds; round += 1) {
    using first = await start(subject, sides[0])
    using second = await start(subject, sides[1])
    const contenders = [first, second]
    const many = await warmUp(
      contenders,
      { callers: options.callers, durationMs: SLICE_MS },
      options.warmUpMs,
    )
    const one = await warmUp(contenders, { callers: 1, durationMs: SLICE_MS }, options.warmUpMs / 4)
    const endsAt = performance.now() + MAX_ROUND_MS
    for (let pair = 0; pair < options.slices && performance.now() < endsAt; pair += 1) {
      // Back and forth, so that a drift meets both.
      for (const side of pair % 2 === 0 ? [0, 1] : [1, 0]) {
        const contender = contenders[side] as Contender
        values.perSecond[side]?.push((await contender.run(many)).perSecond)
        values.p50Ms[side]?.push((await contender.run(one)).p50Ms)
      }
    }
    await Promise.all(contenders.map((contender) => contender.end()))
    process.stderr.write(`${title}: round ${round + 1} of ${options.rounds}\n`)
  }
  return [
    { ...perSecond, first: values.perSecond[0] ?? [], second: values.perSecond[1] ?? [] },
    { ...latency, first: values.p50Ms[0] ?? [], second: values.p50Ms[1] ?? [] },
  ]
}

async function start(subject: SubjectName, { library, harness }: Side): Promise<Contender> {
  const [source, cacheDir] = [harness.sourceOf(subject), await harness.cacheOf(subject)]
  return await Contender.start({ library, subject, source, cacheDir, threads: THREADS })
}

/** Warms both up in turns; resolves with slices that are long enough for the slower one. */
async function warmUp(
  contenders: readonly Contender[],
  slice: SliceOrder,
  durationMs: number,
): Promise<SliceOrder> {
  const endsAt = performance.now() + durationMs
  let slowest = Number.POSITIVE_INFINITY
  do {
    slowest = Number.POSITIVE_INFINITY
    for (const contender of contenders)
      slowest = Math.min(slowest, (await contender.run(slice)).perSecond / slice.callers)
  } while (performance.now() < endsAt)
  return { ...slice, durationMs: Math.max(slice.durationMs, (REQUESTS_PER_CALLER / slowest) * 1_000) }
}
