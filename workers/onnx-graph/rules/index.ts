import type { FlowRule } from '../flow.js'
import type { Rule } from '../op.js'
import { attentionRules, microsoftAttentionRules } from './attention.js'
import { controlFlowRules } from './control-flow.js'
import { elementwiseRules, microsoftElementwiseRules } from './elementwise.js'
import { imageRules, microsoftImageRules } from './image.js'
import { indexingRules } from './indexing.js'
import { learnedRules } from './learned.js'
import { matmulRules, microsoftMatmulRules } from './matmul.js'
import { dynamicRule } from './quantize.js'
import { recurrentRules } from './recurrent.js'
import { microsoftReduceRules, reduceRules } from './reduce.js'
import { microsoftResizeRules, resizeRules } from './resize.js'
import type { Rules } from './rules-of.js'
import { sequenceRules } from './sequence.js'
import { shapeRules } from './shape.js'

const together = (...rules: readonly Rules[]): Rules => new Map(rules.flatMap((each) => [...each]))

/** By domain, '' being ONNX's own, what the known operators do to the batch. */
const rules: ReadonlyMap<string, Rules> = new Map([
  [
    '',
    together(
      attentionRules,
      elementwiseRules,
      imageRules,
      indexingRules,
      matmulRules,
      recurrentRules,
      reduceRules,
      resizeRules,
      shapeRules,
    ),
  ],
  [
    'com.microsoft',
    together(
      microsoftAttentionRules,
      microsoftElementwiseRules,
      microsoftImageRules,
      microsoftMatmulRules,
      microsoftReduceRules,
      microsoftResizeRules,
    ),
  ],
  ['ai.onnx.ml', learnedRules],
])

const randomOps = 'Bernoulli Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike'
const random: FlowRule = (flow) => flow.refuse('draws random numbers')
const flowRules: ReadonlyMap<string, FlowRule> = new Map([
  ...controlFlowRules,
  ...sequenceRules,
  ...randomOps.split(' ').map((name) => [name, random] as const),
])

export function ruleOf(domain: string, op: string): Rule | undefined {
  return dynamicRule(op) ?? rules.get(domain)?.get(op)
}

/** For operators that take more than tensors of known rank, or decide what runs. */
export function flowRuleOf(domain: string, op: string): FlowRule | undefined {
  return domain === '' ? flowRules.get(op) : undefined
}
