import { freshSize, type Op, type Outcome } from '../../trace/op.js'
import { isNumber, isOneOrFixed, known, one, product, type Size } from '../../trace/size.js'
import { isDependent, placed, type RefusedTrace, shared, type TensorTrace } from '../../trace/trace.js'
import { broadcast, broadcastSize, commonPlace, PAIRS_ROWS } from '../elementwise.js'
import { rulesOf } from '../rules-of.js'

export const matmulRules = rulesOf(
  ['MatMul MatMulInteger', (op) => multiply(op, 0, 1)],
  ['QLinearMatMul', (op) => multiply(op, 0, 3)],
  ['Gemm', gemm],
  ['Einsum', einsum],
)

export const microsoftMatmulRules = rulesOf(
  ['MatMulIntegerToFloat', (op) => multiply(op, 0, 1)],
  ['FusedMatMul TransposeMatMul', fused],
  ['FusedGemm', gemm],
  ['MatMulNBits MatMulBnb4', byRow],
)

const CONTRACTS_BATCH = 'sums over the batch axis'
const CROSSES_ROWS = 'multiplies rows of the batch with each other'

/** Rule for a product of the two inputs at these places; all other inputs must be the same for all rows. */
function multiply(op: Op, left: number, right: number): Outcome {
  const [a, b] = [op.inputs[left], op.inputs[right]]
  if (a === undefined || b === undefined || op.isDependentBeside(left, right)) return op.mixed()
  const settings = op.inputs.filter((_, place) => place !== left && place !== right)
  const isPerRow = settings.some((trace) => trace !== undefined && !isNumber(product(trace.dims), 1))
  if (isPerRow && (a.rows?.axis === a.dims.length - 2 || isDependent(b))) {
    return op.refuse('may have a setting for each row of the batch')
  }
  return matrixProduct(op, a, b)
}

function matrixProduct(op: Op, a: TensorTrace, b: TensorTrace): TensorTrace | RefusedTrace {
  // Both are treated as if they had at least two axes; added axes are removed from the result.
  const left = a.dims.length === 1 ? widened(a, 0) : a
  const right = b.dims.length === 1 ? widened(b, 1) : b
  const rank = Math.max(left.dims.length, right.dims.length)
  if (left.rows?.axis === left.dims.length - 1 || right.rows?.axis === right.dims.length - 2) {
    return op.refuse(CONTRACTS_BATCH)
  }
  const rows = commonPlace([left, right], rank)
  if (rows === 'crossed') return op.refuse(CROSSES_ROWS)
  const sizesAt = (axis: number): Size[] =>
    [left, right].flatMap(({ dims }) => dims[axis - rank + dims.length] ?? [])
  const dims = Array.from({ length: rank - 2 }, (_, axis) => broadcastSize(sizesAt(axis)))
  const matrix = [left.dims.at(-2) ?? one, right.dims.at(-1) ?? one]
  if (rows !== undefined && rows.axis < rank - 2) {
    if (sizesAt(rows.axis).some((size) => !size.rows && !isOneOrFixed(size))) return op.refuse(PAIRS_ROWS)
  } else if (rows !== undefined && isDependent(left) && isDependent(right)) {
    return op.refuse(CROSSES_ROWS)
  }
  const drop = [...(a.dims.length === 1 ? [rank - 2] : []), ...(b.dims.length === 1 ? [rank - 1] : [])]
  const kept = [...dims, ...matrix].filter((_, axis) => !drop.includes(axis))
  const gone = drop.filter((axis) => rows !== undefined && axis < rows.axis).length
  return placed(kept, rows && { ...rows, axis: rows.axis - gone })
}

/** Returns a vector as a matrix, with the new axis at this place. */
function widened({ dims, rows }: TensorTrace, place: 0 | 1): TensorTrace {
  const axis = place === 0 ? 1 : 0
  return placed(place === 0 ? [one, ...dims] : [...dims, one], rows && { ...rows, axis })
}

function fused(op: Op): Outcome {
  const [a, b] = [op.inputs[0], op.inputs[1]]
  const isTurned = op.flag('transBatchA') || op.flag('transBatchB')
  if (a === undefined || b === undefined || isTurned)
    return op.isDependent ? op.refuse('turns the batch round') : shared(op.dims.map(freshSize))
  return matrixProduct(op, op.flag('transA') ? transposed(a) : a, op.flag('transB') ? transposed(b) : b)
}

/** Returns a tensor with its last two axes swapped. */
function transposed(trace: TensorTrace): TensorTrace {
  const { dims, rows } = trace
  const last = dims.length - 1
  if (last < 1) return trace
  const turned = [...dims.slice(0, -2), ...dims.slice(-2).reverse()]
  const axis = rows?.axis === last ? last - 1 : rows?.axis === last - 1 ? last : rows?.axis
  return placed(turned, rows && axis !== undefined ? { ...rows, axis } : undefined)
}

/** Rule for operators with packed weights, which sum over the last axis of the first input. */
function byRow(op: Op): Outcome {
  const width = op.int('N')
  const dims = [...op.dims.slice(0, -1), width === undefined ? freshSize() : known(width)]
  return op.isBatch(op.rank - 1) ? op.refuse(CONTRACTS_BATCH) : op.like(dims)
}

function gemm(op: Op): Outcome {
  const [a, b, c] = op.inputs
  if (a?.dims.length !== 2 || b?.dims.length !== 2)
    return op.isDependent ? op.refuse('has no matrices') : shared([freshSize(), freshSize()])
  const result = matrixProduct(
    op,
    op.flag('transA') ? transposed(a) : a,
    op.flag('transB') ? transposed(b) : b,
  )
  return 'refused' in result || c === undefined ? result : broadcast(op, [result, c])
}

function einsum(op: Op): Outcome {
  const equation = (op.string('equation') ?? '').replaceAll(' ', '')
  const [terms = '', output] = equation.split('->')
  const letters = terms.split(',')
  if (output === undefined || equation.includes('.') || letters.length !== op.inputs.length) {
    return op.isDependent
      ? op.refuse('has an equation that is not understood')
      : shared(output === undefined || equation.includes('.') ? [] : [...output].map(freshSize))
  }
  const sizes = new Map<string, Size[]>()
  for (const [at, trace] of op.inputs.entries()) {
    for (const [axis, letter] of [...(letters[at] ?? '')].entries()) {
      sizes.set(letter, [...(sizes.get(letter) ?? []), trace?.dims[axis] ?? one])
    }
  }
  const batch = [...sizes].filter(([, of]) => of.some((size) => size.rows)).map(([letter]) => letter)
  const [letter] = batch
  const dims = [...output].map((letter) => broadcastSize(sizes.get(letter) ?? [one]))
  if (letter === undefined) return shared(dims)
  if (batch.length > 1) return op.refuse(CROSSES_ROWS)
  if (!output.includes(letter)) return op.refuse(CONTRACTS_BATCH)
  const isTwice = [...letters, output].some((term) => term.split(letter).length > 2)
  if (isTwice) return op.refuse(CROSSES_ROWS)
  if (sizes.get(letter)?.some((size) => !size.rows && !isOneOrFixed(size))) return op.refuse(PAIRS_ROWS)
  const [first] = op.inputs.filter(isDependent)
  const isPlain = op.inputs.every((trace) => !isDependent(trace) || isNumber(trace.rows.before, 1))
  if (first === undefined || !isPlain) return op.refuse(CROSSES_ROWS)
  return placed(dims, { axis: output.indexOf(letter), before: one })
}
