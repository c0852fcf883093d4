import type { Op, Outcome, Rule } from '../op.js'
import { batched, broadcast, isDependent, shared, type Trace, unclear } from '../trace.js'
import { rulesOf } from './rules-of.js'

export const matmulRules: ReadonlyMap<string, Rule> = rulesOf(
  ['MatMul MatMulInteger MatMulIntegerToFloat', (op) => product(op, 1)],
  ['QLinearMatMul', (op) => product(op, 3)],
  ['FusedMatMul TransposeMatMul', fused],
  ['MatMulNBits MatMulBnb4', byRow],
  ['Gemm', gemm],
  ['Einsum', einsum],
)

const contracts = 'sums over'
const crosses = 'multiplies rows of the batch with each other'

/** Left is input 0, right the one at `place`; everything else has to be the same for all rows. */
function product(
  op: Op,
  place: number,
  turn: (trace: Trace, side: 'A' | 'B') => Trace = (trace) => trace,
): Outcome {
  const factor = op.inputs[place]
  if (factor === undefined || op.isDependentBeside(0, place)) return op.unsure()
  return multiply(op, turn(op.first, 'A'), turn(factor, 'B'))
}

/** The last axis of the left side and the last but one of the right side are summed over. */
function multiply(op: Op, left: Trace, right: Trace): Outcome {
  const { rank: a } = left
  const { rank: b } = right
  if (a === undefined || b === undefined) return unranked(op, left, right)
  if (left.axis === a - 1 || right.axis === Math.max(0, b - 2)) {
    return op.refuseAxis(contracts, left.axis === a - 1 ? left : right)
  }
  // As if both had two axes and more; the ones that were added go again.
  const rank = Math.max(a, b, 2)
  const rows = typeof left.axis === 'number' ? left.axis + rank - a : undefined
  const columns = typeof right.axis === 'number' ? right.axis + rank - b : undefined
  const resultRank = rank - Number(a === 1) - Number(b === 1)
  if (left.axis === 'unknown' || right.axis === 'unknown') return unclear(resultRank)
  if (rows !== undefined && columns !== undefined && rows !== columns) return op.refuse(crosses)
  const axis = rows ?? columns
  if (axis === undefined) return shared(resultRank)
  return batched(a === 1 && axis === rank - 1 ? axis - 1 : axis, resultRank)
}

/** A matrix of weights behind rows of unknown rank leaves the batch where it is. */
function unranked(op: Op, left: Trace, right: Trace): Outcome {
  const isPlain = typeof left.axis === 'number' && right.axis === 'none' && right.rank === 2
  return isPlain ? left : op.unsure()
}

function fused(op: Op): Outcome {
  const isTurned = (op.int('transBatchA') ?? 0) !== 0 || (op.int('transBatchB') ?? 0) !== 0
  if (isTurned) return op.unsure()
  return product(op, 1, (trace, side) => ((op.int(`trans${side}`) ?? 0) !== 0 ? transposed(trace) : trace))
}

function transposed(trace: Trace): Trace {
  const { axis, rank } = trace
  if (typeof axis !== 'number') return { axis, rank }
  if (rank === undefined) return unclear()
  if (axis < rank - 2) return trace
  return batched(axis === rank - 1 ? rank - 2 : rank - 1, rank)
}

/** Weights that are packed: the last axis of the first input is summed over. */
function byRow(op: Op): Outcome {
  const { axis, rank } = op.first
  if (op.isDependentBeside(0)) return unclear(rank)
  return rank !== undefined && axis === rank - 1 ? op.refuseAxis(contracts, op.first) : op.first
}

function gemm(op: Op): Outcome {
  const right = op.inputs[1]
  if (right === undefined) return op.unsure(2)
  const matrix = (trace: Trace, name: string): Trace => {
    const flat: Trace = { axis: trace.axis, rank: 2 }
    return (op.int(name) ?? 0) !== 0 ? transposed(flat) : flat
  }
  const left = matrix(op.first, 'transA')
  const weights = matrix(right, 'transB')
  if (left.axis === 1 || weights.axis === 0) return op.refuseAxis(contracts, left.axis === 1 ? left : weights)
  const result = broadcast([left, weights, ...(op.inputs[2] === undefined ? [] : [op.inputs[2]])])
  return result === 'crossed' ? op.refuse(crosses) : { axis: result.axis, rank: 2 }
}

function einsum(op: Op): Outcome {
  const equation = (op.string('equation') ?? '').replaceAll(' ', '')
  const [terms = '', output] = equation.split('->')
  const letters = terms.split(',')
  const known = output !== undefined && !equation.includes('.') && letters.length === op.inputs.length
  if (!known) return op.unsure()
  const axes = new Set<number>()
  for (const [at, trace] of op.inputs.entries()) {
    if (!isDependent(trace)) continue
    if (trace.axis === 'unknown') return unclear(output.length)
    const axis = output.indexOf(letters[at]?.[Number(trace.axis)] ?? '?')
    if (axis === -1) return op.refuseAxis(contracts, trace)
    axes.add(axis)
  }
  const [axis] = axes
  if (axes.size > 1) return op.refuse(crosses)
  return axis === undefined ? shared(output.length) : batched(axis, output.length)
}
