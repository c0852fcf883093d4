import type { Op, Outcome, Rule } from '../op.js'
import {
  fromFront,
  isAlongBatch,
  isDependent,
  isFromAxisOn,
  shared,
  withAxes,
  withoutAxes,
} from '../trace.js'
import { rulesOf } from './rules-of.js'

const reductions = `
  ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
  ReduceSumSquare`

export const reduceRules: ReadonlyMap<string, Rule> = rulesOf(
  [reductions, reduce],
  ['ArgMax ArgMin', argOf],
  ['TopK', (op) => along(op, op.int('axis') ?? -1, 'sorts along')],
  ['CumSum CumProd', cumulate],
  ['Softmax LogSoftmax Hardmax', softmax],
  ['LpNormalization', (op) => along(op, op.int('axis') ?? -1, 'normalises over')],
  ['MeanVarianceNormalization', meanVariance],
  ['LayerNormalization SimplifiedLayerNormalization RMSNormalization', layerNorm],
  ['SkipLayerNormalization SkipSimplifiedLayerNormalization', skipLayerNorm],
  ['Unique', (op) => whole(op, 'compares all rows of the batch')],
  ['NonZero', (op) => whole(op, 'makes one list of all rows of the batch')],
  ['NonMaxSuppression', (op) => whole(op, 'makes one list of all rows of the batch')],
  ['Compress', compress],
  ['OneHot', oneHot],
  ['DFT', (op) => along(op, dftAxis(op), 'transforms along')],
  ['Det', (op) => withoutLast(op, 2)],
)

function reduce(op: Op): Outcome {
  const { axis, rank } = op.first
  const isKept = (op.int('keepdims') ?? 1) !== 0
  const axes = op.axes('axes', 1)
  if (axes === 'unknown') return op.unsure(isKept ? rank : undefined)
  if (axes === 'absent' || axes.length === 0) {
    if ((op.int('noop_with_empty_axes') ?? 0) !== 0) return { axis, rank }
    if (isDependent(op.first)) return op.refuse('reduces over all axes, the batch axis among them')
    return shared(isKept ? rank : 0)
  }
  if (isAlongBatch(op.first, axes)) return op.refuseAxis('reduces over', op.first)
  return isKept ? { axis, rank } : withoutAxes(op.first, axes)
}

function argOf(op: Op): Outcome {
  const { axis, rank } = op.first
  const reduced = [op.int('axis') ?? 0]
  if (isAlongBatch(op.first, reduced)) return op.refuseAxis('looks for the extreme over', op.first)
  return (op.int('keepdims') ?? 1) !== 0 ? { axis, rank } : withoutAxes(op.first, reduced)
}

/** What works along one axis and leaves the shape, or the number of axes at least, as it is. */
function along(op: Op, axis: number, does: string): Outcome {
  const { first } = op
  return isAlongBatch(first, [axis]) ? op.refuseAxis(does, first) : { axis: first.axis, rank: first.rank }
}

function cumulate(op: Op): Outcome {
  const axes = op.axes('axis', 1)
  return typeof axes === 'string' ? op.unsure(op.first.rank) : along(op, axes[0] ?? 0, 'accumulates along')
}

/** Until version 13 an axis meant that one and all behind it. */
function softmax(op: Op): Outcome {
  if (op.opset >= 13) return along(op, op.int('axis') ?? -1, 'normalises over')
  const { axis, rank } = op.first
  const from = op.int('axis') ?? 1
  if (isFromAxisOn(op.first, from)) {
    return op.refuse(
      `normalises over all axes from ${fromFront(from, rank)} on (opset ${op.opset}), the batch axis among them`,
    )
  }
  return { axis, rank }
}

function meanVariance(op: Op): Outcome {
  const axes = op.ints('axes') ?? [0, 2, 3]
  if (isAlongBatch(op.first, axes)) return op.refuseAxis('normalises over', op.first)
  return { axis: op.first.axis, rank: op.first.rank }
}

function layerNorm(op: Op): Outcome {
  if (isFromAxisOn(op.first, op.int('axis') ?? -1)) return op.refuseAxis('normalises over', op.first)
  return op.isDependentBeside(0) ? op.unsure(op.first.rank) : { axis: op.first.axis, rank: op.first.rank }
}

function skipLayerNorm(op: Op): Outcome {
  const [input, skip] = [op.first, op.inputs[1]]
  if (isAlongBatch(input, [-1])) return op.refuseAxis('normalises over', input)
  const isAlike = input.axis === skip?.axis && input.rank === skip.rank && !op.isDependentBeside(0, 1)
  return isAlike ? input : op.unsure(input.rank)
}

/** What has all elements together decide the shape of the answer. */
function whole(op: Op, does: string): Outcome {
  return op.isDependent ? op.refuse(does) : shared(undefined)
}

function compress(op: Op): Outcome {
  const [input, condition] = [op.first, op.inputs[1]]
  const axis = op.int('axis')
  if (isDependent(condition)) return op.refuse('has all rows of the batch decide together what is kept')
  if (axis === undefined) return whole(op, 'makes one list of all rows of the batch')
  return isAlongBatch(input, [axis]) ? op.refuseAxis('keeps a part of', input) : input
}

function oneHot(op: Op): Outcome {
  if (op.isDependentBeside(0)) return op.unsure()
  return withAxes(op.first, [op.int('axis') ?? -1])
}

/** Version 20 made it an input. */
function dftAxis(op: Op): number {
  const axes = op.axes('axis', 2)
  if (op.opset < 20) return op.int('axis') ?? 1
  return typeof axes === 'string' ? -2 : (axes[0] ?? -2)
}

function withoutLast(op: Op, count: number): Outcome {
  const axes = Array.from({ length: count }, (_, at) => -1 - at)
  return isAlongBatch(op.first, axes) ? op.refuseAxis('works over', op.first) : withoutAxes(op.first, axes)
}
