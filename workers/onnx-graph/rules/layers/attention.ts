import { freshSize, type Op, type Outcome } from '../../trace/op.js'
import { isNumber, one, type Size } from '../../trace/size.js'
import { isDependent, placed, type RefusedTrace, shared, type TensorTrace } from '../../trace/trace.js'
import { rulesOf } from '../rules-of.js'

/** The axis of the batch, for each input and each output that may hold rows. */
interface Layout {
  readonly inputs: readonly (number | undefined)[]
  readonly outputs: readonly (number | undefined)[]
}

const first = (count: number): readonly number[] => Array.from({ length: count }, () => 0)

/** ONNX's own, since version 23: Q, K, V, mask, past key and value. */
const attention: Layout = { inputs: first(6), outputs: first(4) }
/** X, position ids behind the caches or in front of them: never weights of the rows. */
const rotary: Layout = { inputs: first(4), outputs: [0] }

export const attentionRules = rulesOf(
  ['Attention', (op) => block(op, attention)],
  ['RotaryEmbedding', (op) => block(op, rotary)],
)

export const microsoftAttentionRules = rulesOf(
  // Input, weights, bias, mask, past, which has keys and values in front.
  ['Attention', (op) => block(op, { inputs: [0, undefined, undefined, 0, 1, 0], outputs: [0, 1] })],
  ['MultiHeadAttention', (op) => block(op, { inputs: [0, 0, 0, undefined, 0, 0, 0, 0], outputs: first(3) })],
  ['RotaryEmbedding', (op) => block(op, { inputs: [0, 0], outputs: [0] })],
  [
    'EmbedLayerNormalization',
    (op) => block(op, { inputs: [0, 0, ...Array(5).fill(undefined), 0], outputs: [0, 0] }),
  ],
)

/** Blocks of transformers take the rows at an axis of each input; its size distinguishes rows from masks. */
function block(op: Op, { inputs, outputs }: Layout): Outcome {
  if (!op.isDependent) return op.node.outputs.map(() => shared([freshSize()]))
  for (const [place, trace] of op.inputs.entries()) {
    if (!isDependent(trace)) continue
    const isFit =
      trace.rows.axis === inputs[place] &&
      isNumber(trace.rows.before, 1) &&
      isPlainRow(trace.dims[trace.rows.axis])
    if (!isFit) return op.refuse('takes the batch at another axis')
  }
  const rank = op.type === 'EmbedLayerNormalization' ? 3 : op.rank
  return op.node.outputs.map((_, at) => output(op, outputs[at], at === 0 ? rank : 4))
}

/** The number of rows, not a multiple of it. */
function isPlainRow(size: Size | undefined): boolean {
  return size?.rows === true && size.times === 1 && size.names.length === 0
}

function output(op: Op, axis: number | undefined, rank: number): TensorTrace | RefusedTrace {
  if (axis === undefined) return op.refuse('has an output that is not known')
  const dims = Array.from({ length: rank + axis }, (_, at) =>
    at === axis ? { ...one, rows: true } : freshSize(),
  )
  return placed(dims, { axis, before: one })
}
