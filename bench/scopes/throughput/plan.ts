import type { Cell } from '../../measurements/measurement-harness.js'
import { isUpperBound, type Variant } from '../../measurements/measurement-order.js'
import { NO_CALLERS } from '../../measurements/measurement-table.js'
import type { SubjectName } from '../../subjects/subjects.js'

export const MODELS = [
  'iris',
  'vad6',
  'cls',
  'rec',
  'det',
  'detypify',
] as const satisfies readonly SubjectName[]
export type ModelName = (typeof MODELS)[number]

export const CHART_MODEL = 'vad6'
export const CHART_VARIANTS = [
  'runtime',
  'baseline-pool',
  'main-thread',
] as const satisfies readonly Variant[]
const CHART_CALLERS = [1, 4, 16, 64, 256, 512]
/** Default numbers of callers by model; the chart shows those of its model. */
const CALLERS: Partial<Record<ModelName, readonly number[]>> = {
  iris: [64, 512],
  [CHART_MODEL]: CHART_CALLERS,
}
const DEFAULT_CALLERS: readonly number[] = [64]

/** Returns the closed-loop cells; cells that are compared with each other follow each other. */
export function closedCells(
  models: readonly ModelName[],
  variants: readonly Variant[],
  callers: readonly number[],
): Cell[] {
  const targets = variants.filter((variant) => !isUpperBound(variant))
  return models.flatMap((subject) => {
    const counts = callers.length > 0 ? callers : (CALLERS[subject] ?? DEFAULT_CALLERS)
    const upperBounds = variants.filter(isUpperBound)
    return [
      ...upperBounds.map((variant): Cell => ({ subject, variant, traffic: NO_CALLERS })),
      ...counts.flatMap((count) =>
        targets.map((variant): Cell => ({ subject, variant, traffic: { callers: count } })),
      ),
    ]
  })
}
