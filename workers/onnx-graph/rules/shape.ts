import type { Op, Outcome, Rule } from '../op.js'
import {
  batched,
  fromFront,
  isDependent,
  type Size,
  shared,
  type Trace,
  unclear,
  withAxes,
  withoutAxes,
} from '../trace.js'
import { rulesOf } from './rules-of.js'

export const shapeRules: ReadonlyMap<string, Rule> = rulesOf(
  ['Transpose', transpose],
  ['Reshape', reshape],
  ['Flatten', flatten],
  ['Squeeze', squeeze],
  ['Unsqueeze', unsqueeze],
  ['Expand', expand],
  ['Shape', () => shared(1)],
  ['Size', () => shared(0)],
  ['EyeLike', (op) => shared(op.first.rank)],
  ['ConstantOfShape', (op) => op.unsure(op.first.sizes?.length)],
  ['Range', (op) => op.unsure(1)],
)

function transpose(op: Op): Outcome {
  const { axis, rank } = op.first
  const perm = op.ints('perm')
  const resultRank = perm?.length ?? rank
  if (typeof axis !== 'number') return { axis, rank: resultRank }
  if (perm !== undefined) return batched(perm.indexOf(axis), resultRank)
  return rank === undefined ? unclear() : batched(rank - 1 - axis, rank)
}

function reshape(op: Op): Outcome {
  const shape = op.numbers('shape', 1)
  if (shape === 'absent' || shape === 'unknown') return op.unsure()
  if (isDependent(op.inputs[1])) return unclear(shape.length)
  const { axis } = op.first
  if (typeof axis !== 'number') return { axis, rank: shape.length }
  const place = placeOf(axis, op.first, shape, (op.int('allowzero') ?? 0) !== 0)
  return place === undefined ? unclear(shape.length) : batched(place, shape.length)
}

/**
 * Where a reshape puts the batch. It takes for granted that the model runs with one row, so a
 * shape does not divide the number of rows.
 */
function placeOf(
  axis: number,
  { rank }: Trace,
  shape: readonly Size[],
  isZeroLiteral: boolean,
): number | undefined {
  const isCopied = (at: number): boolean => shape[at] === 0 && !isZeroLiteral
  const named = shape.indexOf('batch')
  // One that moves forward has its rows mixed up.
  if (named !== -1 && shape.lastIndexOf('batch') === named && named >= axis) return named
  if (named !== -1) return undefined
  if (axis === 0) {
    // The outermost axis: it becomes the first one that is not of size 1.
    const at = shape.findIndex((size) => size !== 1)
    return at !== -1 && (shape[at] === -1 || (at === 0 && isCopied(0))) ? at : undefined
  }
  const isFrontKept = shape.slice(0, axis).every((_, at) => isCopied(at))
  if (!isFrontKept || shape.length <= axis) return undefined
  // What lies behind the batch may be merged with it, not the batch with what lies behind -1.
  const isLast = rank !== undefined && axis === rank - 1
  return isCopied(axis) || (shape[axis] === -1 && (!isLast || shape.length === axis + 1)) ? axis : undefined
}

function flatten(op: Op): Outcome {
  const { axis, rank } = op.first
  const from = fromFront(op.int('axis') ?? 1, rank)
  if (typeof axis !== 'number') return { axis, rank: 2 }
  return from === undefined ? unclear(2) : batched(axis < from ? 0 : 1, 2)
}

/** Without axes it drops all of size 1, with one row the batch too. */
function squeeze(op: Op): Outcome {
  const axes = op.axes('axes', 1)
  return typeof axes === 'string' ? op.unsure() : withoutAxes(op.first, axes)
}

function unsqueeze(op: Op): Outcome {
  const axes = op.axes('axes', 1)
  return typeof axes === 'string' ? op.unsure() : withAxes(op.first, axes)
}

function expand(op: Op): Outcome {
  const { axis, rank } = op.first
  const count = op.inputs[1]?.sizes?.length
  if (rank === undefined || count === undefined || isDependent(op.inputs[1])) return op.unsure()
  const resultRank = Math.max(rank, count)
  return typeof axis === 'number' ? batched(axis + resultRank - rank, resultRank) : { axis, rank: resultRank }
}
