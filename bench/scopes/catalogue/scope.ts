import { BenchChild } from '../../harness/child.js'
import { atMost } from '../../harness/findings.js'
import { numberOptions } from '../../harness/options.js'
import { comparable, measureRounds, medianOf } from '../../harness/rounds.js'
import type { Scope } from '../../harness/scope.js'
import { Bed, THREADS } from '../../measurements/bed.js'
import { FIGURE_HEADS, figureCells } from '../../measurements/grid.js'
import type { TrafficFigures } from '../../measurements/stretch-order.js'
import type { CatalogueOrder, CatalogueOutcome } from './order.js'

const CALLERS = [1, 64]
const MAX_COST_RATIO = 1.1
/** For making a model known, with room. */
const MARGIN_MS_PER_MODEL = 500
const MARGIN_MS = 60_000

export const scope: Scope = {
  quantity: 'what it costs a predict that the runtime knows many other models, which are cold',
  async run(args) {
    const { models, seconds, warmup, ...rounds } = numberOptions(args, {
      models: 1_000,
      seconds: 2,
      warmup: 1,
      rounds: 5,
      patience: 300,
    })
    using bed = new Bed()
    const timing = { warmUpMs: warmup * 1_000, durationMs: seconds * 1_000 }
    const source = bed.sourceOf('iris')
    const cacheDir = await bed.cacheOf('iris')
    const references = await bed.referencesOf('iris')
    const counts = [1, models]
    const samples = await measureRounds(counts, rounds, (known) =>
      measure({ ...timing, source, cacheDir, references, known, threads: THREADS, callers: CALLERS }),
    )
    const compared = comparable(samples)
    const of = (known: number, loop: number, figure: (figures: TrafficFigures) => number): number =>
      medianOf(compared, known, ({ loops }) => figure(loops[loop] as TrafficFigures))
    const p50 = (known: number): number => of(known, 0, ({ latency }) => latency.p50Ms)
    const perSecond = (known: number): number => of(known, 1, (figures) => figures.perSecond)
    return {
      ratios: [
        atMost(`p50 of one caller, ${models} models known / 1`, p50(models) / p50(1), MAX_COST_RATIO),
        atMost(
          `time per answer under ${CALLERS[1]} callers, ${models} models known / 1`,
          perSecond(1) / perSecond(models),
          MAX_COST_RATIO,
        ),
      ],
      figures: {
        'iris MLP; all models but the one in use were loaded and evicted': [
          ['models known', 'callers', ...FIGURE_HEADS],
          ...CALLERS.flatMap((callers, loop) =>
            counts.map((known) => [
              `${known}`,
              `${callers}`,
              ...figureCells((figure) => of(known, loop, figure)),
            ]),
          ),
        ],
      },
      failures: samples.flatMap(({ cell, figures }) => problemsOf(cell, figures)),
      data: { ...rounds, models, seconds, warmup, callers: CALLERS, samples },
    }
  },
}

async function measure(order: CatalogueOrder): Promise<CatalogueOutcome> {
  using child = new BenchChild<CatalogueOutcome>(new URL('./child.js', import.meta.url), order)
  const outcome = await child.result(MARGIN_MS + order.known * MARGIN_MS_PER_MODEL)
  process.stderr.write(`${outcome.known} models known, ${outcome.loaded} loaded\n`)
  return outcome
}

function problemsOf(ordered: number, { loops, known, loaded }: CatalogueOutcome): string[] {
  const wrong = loops.reduce((sum, { checks }) => sum + checks.wrong, 0)
  return [
    ...(wrong > 0 ? [`${ordered} models known: ${wrong} answers are wrong`] : []),
    ...(known === ordered && loaded === 1
      ? []
      : [`${known} models were known and ${loaded} loaded, not ${ordered} and 1`]),
  ]
}
