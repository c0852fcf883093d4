import { catalogueCases } from '../../../models/catalogue-cases.js'
import { runChild } from '../../harness/child.js'
import { atLeast, reported } from '../../harness/findings.js'
import { median } from '../../harness/latency.js'
import type { Finding } from '../../harness/scope.js'
import { HEAVY, HEAVY_NAMES } from '../../subjects/heavy.js'
import { CALLERS, CHILD_LIMIT_MS, type MemoryFiles, type MemoryOptions } from './files.js'
import type { RateOrder, RateOutcome } from './order.js'

const TURN_MS = 1_000
const MIN_RATE_RATIO = 0.97

/** Rates of one model and of its artifact. */
export interface ModelRates {
  readonly name: string
  readonly outcome: RateOutcome
}

/** Measures every model and its artifact in turn. */
export async function measureRates(
  { cacheDir, heavy }: MemoryFiles,
  { turns }: MemoryOptions,
): Promise<ModelRates[]> {
  const rates: ModelRates[] = []
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
    const order: RateOrder = { source, cacheDir, inputs, callers: CALLERS, turns, turnMs: TURN_MS }
    const script = new URL('./rate-child.js', import.meta.url)
    const outcome = await runChild<RateOutcome>(script, order, CHILD_LIMIT_MS)
    process.stderr.write(`${name}, ${outcome.form}: ${rateRatio(outcome).toFixed(3)}\n`)
    rates.push({ name, outcome })
  }
  return rates
}

/** Returns the median ratio of turns that followed each other, so that a drift of the machine affects both. */
function rateRatio({ original, artifact }: RateOutcome): number {
  return median(artifact.map((rate, turn) => rate / (original[turn] ?? Number.NaN)))
}

export function rateFinding({ name, outcome }: ModelRates): Finding {
  const ratio = rateRatio(outcome)
  if (outcome.form === 'original') {
    return reported(`${name}, served without an artifact: requests per second / of a second copy`, ratio)
  }
  const title = `${name}, ${outcome.form} artifact: requests per second / of the original`
  return atLeast(title, ratio, MIN_RATE_RATIO)
}

export function rateFailures(rates: readonly ModelRates[]): string[] {
  return rates
    .filter(({ outcome }) => outcome.differing > 0)
    .map(({ name }) => `${name}: the outputs of the artifact differ from those of the original`)
}
