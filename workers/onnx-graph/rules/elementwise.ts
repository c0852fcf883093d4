import type { Op, Outcome, Rule } from '../op.js'
import { broadcast, unclear } from '../trace.js'
import { rulesOf } from './rules-of.js'

/** Element by element, all inputs broadcast to one shape. */
const broadcasting = `
  Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Ceil Celu
  Cos Cosh Div Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish Identity IsInf IsNaN
  LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow Reciprocal Relu Round Selu
  Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum Swish Tan Tanh ThresholdedRelu Where Xor
  BiasGelu FastGelu QuickGelu BitmaskDropout`

/** Element by element of the first input, the others being settings. */
const likeFirst = 'Cast Clip Dropout QuantizeLinear DequantizeLinear'

/** Keep every axis where it is, whatever happens to its size. */
const axisKeeping = 'Pad Resize Upsample Trilu Tile'

export const elementwiseRules: ReadonlyMap<string, Rule> = rulesOf(
  [broadcasting, ofAll],
  [likeFirst, ofFirst],
  [axisKeeping, ofFirst],
  ['CastLike', (op) => ({ axis: op.first.axis, rank: op.first.rank })],
)

export function ofAll(op: Op): Outcome {
  const result = broadcast(op.present)
  return result === 'crossed' ? op.refuse('combines every row of the batch with every other') : result
}

/** The rank and the batch axis of the first input, if the others are the same for all rows. */
export function ofFirst(op: Op): Outcome {
  const { axis, rank } = op.first
  return op.isDependentBeside(0) ? unclear(rank) : { axis, rank }
}
