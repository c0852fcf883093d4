import type { Op } from './op.js'

/** ONNX's numbers of element types. */
const types = { float: 1, int64: 7, bool: 9 } as const

const listed = (names: string): ReadonlySet<string> => new Set(names.trim().split(/\s+/))

/** Operators whose output has the element type of the first input. */
const keeping = listed(`
  Abs Add Clip Compress Concat CumSum Div Expand Flatten Gather GatherElements GatherND Identity Max Min Mod Mul
  Neg Pad Pow Range ReduceMax ReduceMin ReduceProd ReduceSum Relu Reshape ReverseSequence ScatterElements
  ScatterND Sign Slice Split Squeeze Sub Sum Tile TopK Transpose Trilu Unsqueeze`)
const deciding = listed(
  'And Equal Greater GreaterOrEqual IsInf IsNaN Less LessOrEqual Not Or Xor RegexFullMatch',
)
const counting = listed('ArgMax ArgMin NonZero Shape Size')

/** Returns the element type of an operator's first output; undefined if it is not easily known. */
export function typeOf(op: Op): number | undefined {
  if (op.node.domain !== '') return undefined
  if (keeping.has(op.type)) return op.first.type
  if (deciding.has(op.type)) return types.bool
  if (counting.has(op.type)) return types.int64
  if (op.type === 'Cast') return op.int('to')
  if (op.type === 'CastLike' || op.type === 'Where') return op.inputs[1]?.type
  if (op.type === 'ConstantOfShape') return op.node.attributes.get('value')?.tensor?.type ?? types.float
  return undefined
}
