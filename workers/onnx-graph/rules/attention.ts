import type { Op, Outcome, Rule } from '../op.js'
import { type Trace, unclear } from '../trace.js'
import { rowsFirst } from './image.js'
import { rulesOf } from './rules-of.js'

export const attentionRules: ReadonlyMap<string, Rule> = rulesOf(
  [
    'Attention MultiHeadAttention GroupQueryAttention QAttention RotaryEmbedding',
    (op) => block(op, op.first),
  ],
  ['EmbedLayerNormalization', (op) => block(op, { axis: op.first.axis, rank: 3 })],
)

/** Blocks of transformers take rows first; of their answers only the first one surely has them first too. */
function block(op: Op, { rank }: Trace): Outcome {
  const places = op.inputs.map((_, place) => place)
  const main = rowsFirst(op, places, rank === 3 || rank === 4 ? rank : undefined)
  return op.isDependent ? op.node.outputs.map((_, at) => (at === 0 ? main : unclear())) : main
}
