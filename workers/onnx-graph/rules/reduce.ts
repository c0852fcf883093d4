import { freshSize, type Op, type Outcome } from '../trace/op.js'
import { one } from '../trace/size.js'
import { isDependent, placed, shared, type TensorTrace, unranked } from '../trace/trace.js'
import { rulesOf } from './rules-of.js'
import { withAxes, withoutAxes } from './shape.js'

const REDUCTIONS = `
  ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
  ReduceSumSquare`

export const reduceRules = rulesOf(
  [REDUCTIONS, reduce],
  ['ArgMax ArgMin', argOf],
  ['TopK', topK],
  ['CumSum CumProd', cumulate],
  ['Softmax LogSoftmax', softmax],
  ['Hardmax', (op) => (op.isDependent ? op.refuse(`${UNSTABLE} (it picks elements)`) : softmax(op))],
  ['LpNormalization', (op) => op.along([op.axis(op.int('axis') ?? -1)], NORMALISES)],
  ['MeanVarianceNormalization', (op) => op.along(axesOf(op, [0, 2, 3]), NORMALISES)],
  ['LayerNormalization SimplifiedLayerNormalization RMSNormalization', layerNorm],
  ['Unique', (op) => whole(op, 'compares all rows of the batch')],
  ['NonZero NonMaxSuppression', (op) => whole(op, 'makes one list of all rows of the batch')],
  ['Compress', compress],
  ['OneHot', oneHot],
  ['DFT', dft],
  [
    'Det',
    (op) =>
      op.isBatch(op.rank - 1, op.rank - 2)
        ? op.refuse('works over the batch axis')
        : withoutAxes(op, [op.rank - 2, op.rank - 1]),
  ],
)

export const microsoftReduceRules = rulesOf([
  'SkipLayerNormalization SkipSimplifiedLayerNormalization',
  skipLayerNorm,
])

const NORMALISES = 'normalises over'
/** onnxruntime finds the extreme of a row by a loop that begins where the row lies in memory. */
const UNSTABLE = 'gives a row that holds NaN other outputs in a batch than alone'
const UNSTABLE_OPS: readonly string[] = ['ReduceMax', 'ReduceMin']
/** ONNX's numbers of the types that have NaN. */
const FLOAT_TYPES: readonly (number | undefined)[] = [undefined, 1, 10, 11, 16]

function axesOf(op: Op, byDefault: readonly number[]): readonly number[] {
  return (op.ints('axes') ?? byDefault).map((axis) => op.axis(axis))
}

function reduce(op: Op): Outcome {
  const axes = op.axes('axes', 1)
  const isKept = op.flag('keepdims', true)
  if (axes === 'unknown') {
    if (op.isDependent) return op.refuse('reduces over axes that are not known')
    return isKept ? shared(op.dims.map(() => freshSize())) : unranked
  }
  const isAll = axes === 'absent' || axes.length === 0
  if (isAll && op.flag('noop_with_empty_axes')) return op.like()
  const reduced = isAll ? op.dims.map((_, axis) => axis) : axes
  if (op.isBatch(...reduced)) {
    // The greatest of equal numbers is each of them.
    if (!UNSTABLE_OPS.includes(op.type) || op.first.isUniform !== true || op.isDependentBeside(0)) {
      return op.refuse(
        isAll ? 'reduces over all axes, the batch axis among them' : 'reduces over the batch axis',
      )
    }
    const dims = op.dims.map((size, axis) => (reduced.includes(axis) ? one : size))
    return { ...shared(isKept ? dims : dims.filter((_, axis) => !reduced.includes(axis))), isUniform: true }
  }
  const isOpen = UNSTABLE_OPS.includes(op.type) && FLOAT_TYPES.includes(op.first.type)
  if (isOpen && op.isDependent && reduced.includes(op.rank - 1)) return op.refuse(UNSTABLE)
  return isKept ? op.like(ones(op, reduced)) : withoutAxes(op, reduced)
}

function ones(op: Op, axes: readonly number[]): TensorTrace['dims'] {
  return op.dims.map((size, axis) => (axes.includes(axis) ? one : size))
}

function argOf(op: Op): Outcome {
  const reduced = [op.axis(op.int('axis') ?? 0)]
  if (op.isBatch(...reduced)) return op.refuse('looks for the extreme over the batch axis')
  return op.flag('keepdims', true) ? op.like(ones(op, reduced)) : withoutAxes(op, reduced)
}

function topK(op: Op): Outcome {
  const axis = op.axis(op.int('axis') ?? -1)
  const k = op.numbers('k', 1)
  const count = typeof k === 'string' ? freshSize() : (k[0] ?? freshSize())
  return op.along(
    [axis],
    'sorts along',
    op.dims.map((size, at) => (at === axis ? count : size)),
  )
}

function cumulate(op: Op): Outcome {
  const axes = op.axes('axis', 1)
  if (typeof axes !== 'string') return op.along(axes, 'accumulates along')
  return op.isDependent ? op.refuse('accumulates along an axis that is not known') : op.like()
}

/** Rule for Softmax. Before version 13 an axis meant that axis and all behind it. */
function softmax(op: Op): Outcome {
  if (op.opset >= 13) return op.along([op.axis(op.int('axis') ?? -1)], NORMALISES)
  const from = op.axis(op.int('axis') ?? 1)
  if (op.rows === undefined || op.rows.axis < from) return op.like()
  return op.refuse(`normalises over all axes from ${from} on (opset ${op.opset}), the batch axis among them`)
}

/** Rule for normalisation over an axis and all behind it; the weights have only those axes. */
function layerNorm(op: Op): Outcome {
  const from = op.axis(op.int('axis') ?? -1)
  const axes = op.dims.map((_, axis) => axis).filter((axis) => axis >= from)
  const isWide = op.inputs.slice(1).some((trace) => trace !== undefined && trace.dims.length > axes.length)
  if (op.isDependent && isWide) return op.refuse('has weights with as many axes as the batch')
  const result = op.along(axes, NORMALISES)
  const mean = op.along(axes, NORMALISES, ones(op, axes))
  return [result, mean, mean]
}

function skipLayerNorm(op: Op): Outcome {
  const [input, skip] = [op.first, op.inputs[1]]
  if (op.isBatch(op.rank - 1)) return op.refuse(`${NORMALISES} the batch axis`)
  const isAlike = input.rows?.axis === skip?.rows?.axis && input.dims.length === skip?.dims.length
  if (!isAlike || op.isDependentBeside(0, 1)) return op.mixed()
  const open = op.refuse('gives statistics of the batch that are not known')
  const same = placed(op.dims, op.rows)
  return [same, open, open, same]
}

/** Rule for operators in which all elements together decide the shape of the output. */
function whole(op: Op, does: string): Outcome {
  return op.isDependent ? op.refuse(does) : unranked
}

function compress(op: Op): Outcome {
  const axis = op.int('axis')
  if (isDependent(op.inputs[1])) return op.refuse('has all rows of the batch decide together what is kept')
  if (axis === undefined)
    return op.isDependent ? whole(op, 'makes one list of all rows of the batch') : shared([freshSize()])
  const along = op.axis(axis)
  return op.along(
    [along],
    'keeps a part of',
    op.dims.map((size, at) => (at === along ? freshSize() : size)),
  )
}

function oneHot(op: Op): Outcome {
  const depth = op.inputs[1]?.values?.[0] ?? freshSize()
  return withAxes(op, [op.axis(op.int('axis') ?? -1, op.rank + 1)], depth)
}

/** Rule for DFT. Version 20 made the axis an input. The last axis holds the parts of complex numbers. */
function dft(op: Op): Outcome {
  const listed = op.opset < 20 ? [op.axis(op.int('axis') ?? 1)] : op.axes('axis', 2)
  const axes = listed === 'absent' ? [op.rank - 2] : listed
  if (axes === 'unknown')
    return op.isDependent ? op.refuse('transforms along an axis that is not known') : op.like()
  const last = op.rank - 1
  return op.along(
    [...axes, last],
    'transforms along',
    op.dims.map((size, axis) => (axis === last || axes.includes(axis) ? freshSize() : size)),
  )
}
