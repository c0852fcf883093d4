import type { Op, Outcome, Rule } from '../trace/op.js'
import { shared, unranked } from '../trace/trace.js'

/**
 * Returns the rule for operators of any domain that derive their scale from the values, such as
 * `DynamicQuantizeLinear`.
 */
export function dynamicRule(type: string): Rule | undefined {
  return type.startsWith('DynamicQuantize') ? quantize : undefined
}

function quantize(op: Op): Outcome {
  if (op.isDependent) return op.refuse('quantises with one scale for the whole batch')
  return op.type === 'DynamicQuantizeLinear' ? [shared(op.dims), shared([]), shared([])] : unranked
}
