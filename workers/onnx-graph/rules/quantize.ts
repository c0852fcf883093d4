import type { Op, Outcome, Rule } from '../op.js'

/** `DynamicQuantizeLinear` and whatever else, of any domain, finds its scale in the values it is given. */
export function dynamicRule(type: string): Rule | undefined {
  return type.startsWith('DynamicQuantize') ? quantize : undefined
}

function quantize(op: Op): Outcome {
  return op.isDependent ? op.refuse('quantises with one scale for the whole batch') : op.unsure()
}
