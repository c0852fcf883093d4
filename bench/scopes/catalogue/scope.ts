import { runChild } from '../../harness/child.js'
import { atMost } from '../../harness/findings.js'
import { numberOptions } from '../../harness/options.js'
import { comparable, measureRounds, medianOf } from '../../harness/rounds.js'
import type { Scope } from '../../harness/scope.js'
import type { TrafficFigures } from '../../load/traffic-figures.js'
import { MeasurementHarness, THREADS } from '../../measurements/measurement-harness.js'
import { FIGURE_HEADS, figureCells } from '../../measurements/measurement-table.js'
import type { CatalogueOrder, CatalogueOutcome } from './order.js'

const CALLERS = [1, 64]
const MAX_COST_RATIO = 1.1
/** Generous time for one load and eviction. */
const MARGIN_MS_PER_MODEL = 500
const MARGIN_MS = 60_000

export const scope: Scope = {
  quantity: 'cost that many other known, cold models add to a request',
  async run(args) {
    const { models, seconds, warmup, ...rounds } = numberOptions(args, {
      models: 1_000,
      seconds: 2,
      warmup: 1,
      rounds: 5,
      patience: 300,
    })
    using harness = new MeasurementHarness()
    const timing = { warmUpMs: warmup * 1_000, durationMs: seconds * 1_000 }
    const source = harness.sourceOf('iris')
    const cacheDir = await harness.cacheOf('iris')
    const references = await harness.referencesOf('iris')
    const counts = [1, models]
    const samples = await measureRounds(counts, rounds, (known) =>
      measure({ ...timing, source, cacheDir, references, known, threads: THREADS, callers: CALLERS }),
    )
    const compared = comparable(samples)
    const medianFigure = (known: number, loop: number, figure: (figures: TrafficFigures) => number): number =>
      medianOf(compared, known, ({ loops }) => figure(loops[loop] as TrafficFigures))
    const p50 = (known: number): number => medianFigure(known, 0, ({ latency }) => latency.p50Ms)
    const perSecond = (known: number): number => medianFigure(known, 1, (figures) => figures.perSecond)
    return {
      ratios: [
        atMost(
          `p50 of one caller, ${models} known models / 1 known model`,
          p50(models) / p50(1),
          MAX_COST_RATIO,
        ),
        atMost(
          `time per request of ${CALLERS[1]} callers, ${models} known models / 1 known model`,
          perSecond(1) / perSecond(models),
          MAX_COST_RATIO,
        ),
      ],
      figures: {
        'iris MLP; every other model was loaded and evicted': [
          ['known models', 'callers', ...FIGURE_HEADS],
          ...CALLERS.flatMap((callers, loop) =>
            counts.map((known) => [
              `${known}`,
              `${callers}`,
              ...figureCells((figure) => medianFigure(known, loop, figure)),
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
  const limitMs = MARGIN_MS + order.known * MARGIN_MS_PER_MODEL
  const outcome = await runChild<CatalogueOutcome>(new URL('./child.js', import.meta.url), order, limitMs)
  process.stderr.write(`${outcome.known} known models, ${outcome.loaded} loaded\n`)
  return outcome
}

function problemsOf(ordered: number, { loops, known, loaded }: CatalogueOutcome): string[] {
  const wrong = loops.reduce((sum, { checks }) => sum + checks.wrong, 0)
  return [
    ...(wrong > 0 ? [`${ordered} known models: ${wrong} outputs are wrong`] : []),
    ...(known === ordered && loaded === 1
      ? []
      : [`${known} models were known and ${loaded} loaded; expected ${ordered} and 1`]),
  ]
}
