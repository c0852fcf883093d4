import type { Cell } from '../../measurements/bed.js'
import { NO_CALLERS } from '../../measurements/grid.js'
import type { Variant } from '../../measurements/stretch-order.js'
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
export const CHART_VARIANTS = ['runtime', 'hand', 'raw'] as const satisfies readonly Variant[]
const CHART_CALLERS = [1, 4, 16, 64, 256, 512]
/** Callers of a model unless told; the chart's model has a curve. */
const CALLERS: Partial<Record<ModelName, readonly number[]>> = {
  iris: [64, 512],
  [CHART_MODEL]: CHART_CALLERS,
}
const DEFAULT_CALLERS: readonly number[] = [64]

/** Closed loops: cells that are set against each other stand beside each other. */
export function closedCells(
  models: readonly ModelName[],
  variants: readonly Variant[],
  callers: readonly number[],
): Cell[] {
  const isAsked = (variant: Variant): boolean => !variant.startsWith('ceiling')
  return models.flatMap((subject) => {
    const own = callers.length > 0 ? callers : (CALLERS[subject] ?? DEFAULT_CALLERS)
    const bare = variants.filter((variant) => !isAsked(variant))
    return [
      ...bare.map((variant): Cell => ({ subject, variant, traffic: NO_CALLERS })),
      ...own.flatMap((count) =>
        variants.filter(isAsked).map((variant): Cell => ({ subject, variant, traffic: { callers: count } })),
      ),
    ]
  })
}
