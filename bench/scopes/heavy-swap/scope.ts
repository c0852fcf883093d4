import { runChild } from '../../harness/child.js'
import { atMost } from '../../harness/findings.js'
import type { LatencyFigures } from '../../harness/latency.js'
import { number, readOptions, words } from '../../harness/options.js'
import type { Scope } from '../../harness/scope.js'
import { MeasurementHarness } from '../../measurements/measurement-harness.js'
import { SUBJECT_NAMES, SUBJECTS } from '../../subjects/subjects.js'
import type { HeavySwapOrder, HeavySwapOutcome } from './order.js'

const MAX_RATIO = 1.5
const LIMIT_MS = 600_000

export const scope: Scope = {
  quantity: 'latency of requests to a heavy model during hot swaps over that between them',
  async run(args) {
    const { models, callers, swaps } = readOptions(args, {
      models: words(SUBJECT_NAMES, ['rec']),
      callers: number(32),
      swaps: number(60),
    })
    using harness = new MeasurementHarness()
    const outcomes: HeavySwapOutcome[] = []
    for (const subject of models) {
      const order: HeavySwapOrder = {
        subject,
        source: harness.sourceOf(subject),
        cacheDir: await harness.cacheOf(subject),
        callers,
        swaps,
      }
      outcomes.push(await runChild(new URL('./child.js', import.meta.url), order, LIMIT_MS))
    }
    const rows = models.flatMap((subject, index) => {
      const { during, between, toPromote, toDrained } = outcomes[index] as HeavySwapOutcome
      const { title } = SUBJECTS[subject]
      return [
        [`${title}, requests during swaps`, ...cellsOf(during)],
        [`${title}, requests between swaps`, ...cellsOf(between)],
        [`${title}, call to promotion`, ...cellsOf(toPromote)],
        [`${title}, call to end of the old version`, ...cellsOf(toDrained)],
      ]
    })
    return {
      ratios: models.map((subject, index) => {
        const { during, between } = outcomes[index] as HeavySwapOutcome
        const name = `${SUBJECTS[subject].title}: p99 during ${swaps} swaps / between them, ${callers} callers`
        return atMost(name, during.p99Ms / between.p99Ms, MAX_RATIO)
      }),
      figures: { milliseconds: [['', 'count', 'p50', 'p90', 'p99', 'max'], ...rows] },
      failures: [],
      data: { models, callers, swaps, outcomes },
    }
  },
}

function cellsOf({ count, p50Ms, p90Ms, p99Ms, maxMs }: LatencyFigures): string[] {
  return [`${count}`, ...[p50Ms, p90Ms, p99Ms, maxMs].map((ms) => ms.toFixed(1))]
}
