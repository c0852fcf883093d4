import { freshSize, type Op, type Outcome } from '../trace/op.js'
import { isNumber, isOneOrFixed, isSameSize, numberOf, one, product, type Size } from '../trace/size.js'
import { isDependent, type Place, placed, type RefusedTrace, type TensorTrace } from '../trace/trace.js'
import { rulesOf } from './rules-of.js'

/** Operators that work element by element on inputs broadcast to one shape. */
const BROADCASTING_OPS = `
  Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Ceil Celu
  Cos Cosh Div Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish Identity IsInf IsNaN
  LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow Reciprocal Relu Round Selu
  Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt StringConcat Sub Sum Swish Tan Tanh ThresholdedRelu
  Where Xor`

export const elementwiseRules = rulesOf(
  [BROADCASTING_OPS, ofAll],
  ['Cast Clip RegexFullMatch', (op) => uniform(op, op.like())],
  ['CastLike', (op) => placed(op.dims, op.rows)],
  ['Dropout', dropout],
  ['QuantizeLinear DequantizeLinear', quantize],
)

/** Operators of onnxruntime's own domain. */
export const microsoftElementwiseRules = rulesOf(
  ['BiasGelu FastGelu QuickGelu Gelu', ofAll],
  ['QLinearSigmoid QLinearLeakyRelu', (op) => op.like()],
  ['QLinearAdd QLinearMul', (op) => (op.isDependentBeside(0, 3) ? op.mixed() : broadcast(op, at(op, 0, 3)))],
  ['QuantizeLinear DequantizeLinear', quantize],
)

export function ofAll(op: Op): Outcome {
  const result = broadcast(op, op.present)
  return op.present.every(isUniform) ? uniform(op, result) : result
}

function at(op: Op, ...places: readonly number[]): TensorTrace[] {
  return places.map((place) => op.inputs[place]).filter((trace) => trace !== undefined)
}

function isUniform(trace: TensorTrace): boolean {
  return trace.isUniform === true || isNumber(product(trace.dims), 1)
}

function uniform(op: Op, outcome: TensorTrace | RefusedTrace): TensorTrace | RefusedTrace {
  return op.present.every(isUniform) && !('refused' in outcome) ? { ...outcome, isUniform: true } : outcome
}

/** Returns the tensors broadcast to one shape. Each row may only meet itself and what all rows share. */
export function broadcast(op: Op, traces: readonly TensorTrace[]): TensorTrace | RefusedTrace {
  const rank = Math.max(0, ...traces.map(({ dims }) => dims.length))
  const sizesAt = (axis: number): Size[] =>
    traces.flatMap(({ dims }) => dims[axis - rank + dims.length] ?? [])
  const dims = Array.from({ length: rank }, (_, axis) => broadcastSize(sizesAt(axis)))
  const dependent = traces.filter(isDependent)
  const rows = commonPlace(dependent, rank)
  if (rows === 'crossed') return op.refuse('combines every row of the batch with every other')
  if (rows === undefined) return placed(dims, undefined)
  const across = sizesAt(rows.axis).find((size) => !size.rows && !isOneOrFixed(size))
  if (across !== undefined) return op.refuse(PAIRS_ROWS)
  return placed(dims, rows)
}

export const PAIRS_ROWS = 'pairs the rows of the batch with a tensor that may have as many'

/** Returns the place of the rows in the result of a broadcast, which all tensors with rows must share. */
export function commonPlace(traces: readonly TensorTrace[], rank: number): Place | undefined | 'crossed' {
  const places = traces.filter(isDependent).map(({ rows, dims }): Place => {
    return { axis: rows.axis + rank - dims.length, before: rows.before }
  })
  const [first] = places
  const isAlike = places.every(({ axis, before }) => axis === first?.axis && isSameSize(before, first.before))
  return isAlike ? first : 'crossed'
}

export function broadcastSize(sizes: readonly Size[]): Size {
  const wide = sizes.filter((size) => !isNumber(size, 1))
  const [first = one] = wide
  if (wide.every((size) => isSameSize(size, first))) return first
  // A size that is not known is 1 or equals one that is.
  return wide.find((size) => size.rows) ?? wide.find((size) => numberOf(size) !== undefined) ?? freshSize()
}

/** Version 12 made the mode an input; before version 7 only an attribute said that this is no training. */
function dropout(op: Op): Outcome {
  const mode = op.inputs[2]
  const isTraining = op.opset >= 12 ? mode !== undefined && !isNumber(mode.values?.[0], 0) : false
  if (isTraining || (op.opset < 7 && !op.flag('is_test'))) return op.refuse('drops elements at random')
  return op.like()
}

/** Refuses a scale for each place along an axis if it may be one for each row. */
function quantize(op: Op): Outcome {
  const axis = op.axis(op.int('axis') ?? 1)
  const settings = op.inputs.slice(1).filter((trace) => trace !== undefined)
  const isPlain = settings.every(({ dims }) => isNumber(product(dims), 1))
  const isAlong = settings.some(({ dims }) => dims.length > 1 || axis === op.rows?.axis)
  return op.rows !== undefined && !isPlain && isAlong
    ? op.refuse('has a scale for each row of the batch')
    : op.like()
}
