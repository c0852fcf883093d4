import { controlFlowRules } from './rules/control-flow.js'
import { dynamicRule } from './rules/dynamic-rule.js'
import { elementwiseRules, microsoftElementwiseRules } from './rules/elementwise.js'
import { indexingRules } from './rules/indexing.js'
import { attentionRules, microsoftAttentionRules } from './rules/layers/attention.js'
import { imageRules, microsoftImageRules } from './rules/layers/image.js'
import { learnedRules } from './rules/layers/learned.js'
import { matmulRules, microsoftMatmulRules } from './rules/layers/matmul.js'
import { recurrentRules } from './rules/layers/recurrent.js'
import { microsoftResizeRules, resizeRules } from './rules/layers/resize.js'
import { microsoftReduceRules, reduceRules } from './rules/reduce.js'
import type { Rules } from './rules/rules-of.js'
import { sequenceRules } from './rules/sequence.js'
import { shapeRules } from './rules/shape.js'
import type { FlowRule } from './trace/flow.js'
import type { Rule } from './trace/op.js'

const together = (...rules: readonly Rules[]): Rules => new Map(rules.flatMap((group) => [...group]))

/** The rules of the known operators by domain; '' is ONNX's own. */
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

const RANDOM_OPS = 'Bernoulli Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike'
const random: FlowRule = (flow) => flow.refuse('draws random numbers')
const flowRules: ReadonlyMap<string, FlowRule> = new Map([
  ...controlFlowRules,
  ...sequenceRules,
  ...RANDOM_OPS.split(' ').map((name) => [name, random] as const),
])

export function ruleOf(domain: string, op: string): Rule | undefined {
  return dynamicRule(op) ?? rules.get(domain)?.get(op)
}

/** Returns the rule of an operator that takes more than tensors of known rank, or that decides what runs. */
export function flowRuleOf(domain: string, op: string): FlowRule | undefined {
  return domain === '' ? flowRules.get(op) : undefined
}
