import { freshSize, type Op, type Outcome, valuesOf } from '../trace/op.js'
import {
  isNumber,
  isOneOrFixed,
  isSameSize,
  known,
  numberOf,
  one,
  product,
  quotient,
  type Size,
} from '../trace/size.js'
import {
  countsRows,
  type Place,
  placed,
  type RefusedTrace,
  shared,
  type TensorTrace,
  unranked,
} from '../trace/trace.js'
import { broadcastSize, PAIRS_ROWS } from './elementwise.js'
import { rulesOf } from './rules-of.js'

export const shapeRules = rulesOf(
  ['Transpose', transpose],
  ['Reshape', reshape],
  ['Flatten', flatten],
  ['Squeeze', squeeze],
  ['Unsqueeze', (op) => unsqueeze(op, op.axes('axes', 1, op.rank + (lengthOf(op, 'axes', 1) ?? 0)))],
  ['Expand', expand],
  ['Tile', tile],
  ['Shape', (op) => shared([known(op.dims.slice(op.int('start') ?? 0, op.int('end')).length)])],
  ['Size', () => shared([])],
  ['EyeLike', (op) => (op.rows === undefined ? shared(op.dims) : op.refuse('gives each row its own place'))],
  ['ConstantOfShape', constantOfShape],
  ['Range', () => shared([freshSize()])],
)

/** Inputs that may hold the number of rows, since the operators above take them for shapes. */
export const shapeInputs: ReadonlyMap<string, readonly number[]> = new Map([
  ['ConstantOfShape', [0]],
  ['Expand', [1]],
  ['Reshape', [1]],
  ['Resize', [3]],
  ['Slice', [2]],
  ['Tile', [1]],
])

function transpose(op: Op): Outcome {
  const perm = op.ints('perm') ?? op.dims.map((_, axis) => op.rank - 1 - axis)
  const dims = perm.map((axis) => op.dims[axis] ?? one)
  return op.like(dims, op.rows && { ...op.rows, axis: perm.indexOf(op.rows.axis) })
}

function reshape(op: Op): Outcome {
  const shape = op.numbers('shape', 1)
  if (typeof shape === 'string') {
    return op.isDependent ? op.refuse('gives the batch a shape that is not known') : unranked
  }
  const isZeroLiteral = op.flag('allowzero')
  const asked = shape.map((size, axis) =>
    isNumber(size, 0) && !isZeroLiteral ? (op.dims[axis] ?? one) : size,
  )
  return reshaped(op, asked)
}

/** Returns the first input in another shape, in which -1 stands for the remaining size. */
function reshaped(op: Op, asked: readonly Size[]): TensorTrace | RefusedTrace {
  const others = asked.filter((size) => !isNumber(size, -1))
  const all = product(op.dims)
  const rest = product(others)
  const left = all && rest && !isNumber(rest, 0) ? quotient(all, rest) : undefined
  const isInferred = (size: Size): boolean => isNumber(size, -1)
  if (op.rows === undefined) {
    if (others.some((size) => size.rows))
      return op.refuse('gives a shape with the number of rows to what all rows share')
    return op.like(asked.map((size) => (isInferred(size) ? (left ?? freshSize()) : size)))
  }
  const named = asked.findIndex((size) => size.rows)
  const axis = named === -1 ? asked.findIndex(isInferred) : named
  if (axis === -1 || others.filter((size) => size.rows).length > 1) {
    return op.refuse('gives the batch a shape that is not made for any number of rows')
  }
  const inferred = left ?? (named === -1 ? { ...freshSize(), rows: true } : freshSize())
  const dims = asked.map((size) => (isInferred(size) ? inferred : size))
  const rows = placeIn(op.first, op.rows, dims, axis)
  return rows === undefined
    ? op.refuse('mixes the elements of different rows of the batch')
    : op.like(dims, rows)
}

/**
 * Returns the place of the rows after a reshape; undefined if it mixes rows. A reshape keeps the order of the
 * elements, so the number of blocks in front of the rows must not change, and the part behind them must be
 * divided within each row.
 */
function placeIn(from: TensorTrace, rows: Place, dims: readonly Size[], axis: number): Place | undefined {
  const inFront = product([...from.dims.slice(0, rows.axis), rows.before])
  const before = quotient(inFront, product(dims.slice(0, axis)))
  if (before === undefined) return undefined
  // The whole axis belongs to rows that lie one behind the other; the proof has shown that the shape fits one
  // row.
  if (isSameSize(before, one)) return { axis, before }
  const rowSize = quotient(from.dims[rows.axis], product([rows.before, { ...one, rows: true }]) ?? one)
  const behind = product([...(rowSize === undefined ? [] : [rowSize]), ...from.dims.slice(rows.axis + 1)])
  const isDivided = rowSize !== undefined && quotient(behind, product(dims.slice(axis + 1))) !== undefined
  return isDivided ? { axis, before } : undefined
}

function flatten(op: Op): Outcome {
  const from = op.axis(op.int('axis') ?? 1)
  const dims = [op.dims.slice(0, from), op.dims.slice(from)].map((part) => product(part) ?? freshSize())
  const { rows } = op
  if (rows === undefined) return op.like(dims)
  const axis = rows.axis < from ? 0 : 1
  const before = product([...op.dims.slice(axis === 0 ? 0 : from, rows.axis), rows.before])
  return before === undefined
    ? op.refuse('mixes the elements of different rows')
    : op.like(dims, { axis, before })
}

/** Returns the number of requested axes. */
function lengthOf(op: Op, name: string, place: number): number | undefined {
  const numbers = op.numbers(name, place)
  return typeof numbers === 'string' ? undefined : numbers.length
}

/** Rule for Squeeze. Without axes it drops all of size 1, with one row the batch too. */
function squeeze(op: Op): Outcome {
  const axes = op.axes('axes', 1)
  if (typeof axes !== 'string') return withoutAxes(op, axes)
  if (op.isDependent)
    return op.refuse('drops axes that are not known, or the batch axis where it has one row')
  const sizes = op.dims.map(numberOf)
  if (axes === 'unknown' || sizes.includes(undefined)) return unranked
  return shared(op.dims.filter((size) => !isNumber(size, 1)))
}

/** Returns the first input without some axes, or a refusal if one of them is that of the batch. */
export function withoutAxes(op: Op, axes: readonly number[]): TensorTrace | RefusedTrace {
  if (op.isBatch(...axes)) return op.refuse('drops the batch axis')
  const dims = op.dims.filter((_, axis) => !axes.includes(axis))
  const gone = axes.filter((axis) => op.rows !== undefined && axis < op.rows.axis).length
  return op.like(dims, op.rows && { ...op.rows, axis: op.rows.axis - gone })
}

function unsqueeze(op: Op, axes: readonly number[] | 'absent' | 'unknown'): Outcome {
  if (typeof axes !== 'string') return withAxes(op, axes)
  return op.isDependent ? op.refuse('adds axes at places that are not known') : unranked
}

/** Returns the first input with new axes at these places of the result. */
export function withAxes(op: Op, axes: readonly number[], size: Size = one): TensorTrace | RefusedTrace {
  return op.like(...added(op.first, axes, size))
}

/** Returns the dims of a tensor and the place of its rows, with new axes at these places. */
export function added(
  { dims, rows }: TensorTrace,
  axes: readonly number[],
  size: Size,
): [dims: readonly Size[], rows: Place | undefined] {
  const wide = [...dims]
  let axis = rows?.axis ?? 0
  for (const place of [...axes].sort((a, b) => a - b)) {
    wide.splice(place, 0, size)
    if (place <= axis) axis += 1
  }
  return [wide, rows && { ...rows, axis }]
}

/** Rule for Expand: a new axis as long as the batch gives each row the same values. */
function expand(op: Op): Outcome {
  const shape = op.inputs[1] && valuesOf(op.inputs[1])
  if (shape === undefined || op.isDependentBeside(0)) {
    return op.isDependent ? op.refuse('gives the batch a shape that is not known') : unranked
  }
  const rank = Math.max(op.rank, shape.length)
  const own = (axis: number): Size => op.dims[axis - rank + op.rank] ?? one
  const asked = (axis: number): Size => shape[axis - rank + shape.length] ?? one
  const axes = Array.from({ length: rank }, (_, axis) => axis)
  const dims = axes.map((axis) => broadcastSize([own(axis), asked(axis)]))
  const wide = axes.filter((axis) => asked(axis).rows)
  const at = op.rows === undefined ? wide[0] : op.rows.axis + rank - op.rank
  if (at === undefined) return keepValue(op, op.like(dims))
  const fits = asked(at).rows || isNumber(asked(at), 1)
  if (wide.some((axis) => axis !== at) || !fits) return op.refuse(PAIRS_ROWS)
  if (op.rows === undefined && !isOneOrFixed(own(at))) return op.refuse(PAIRS_ROWS)
  return keepValue(op, op.like(dims, { axis: at, before: op.rows?.before ?? one }))
}

function keepValue(op: Op, outcome: TensorTrace | RefusedTrace): TensorTrace | RefusedTrace {
  const isUniform = op.first.isUniform === true || isNumber(product(op.dims), 1)
  return isUniform && !('refused' in outcome) ? { ...outcome, isUniform } : outcome
}

/**
 * Rule for Tile. Along the batch axis all rows are repeated as a block; as many blocks as rows make one for
 * each row.
 */
function tile(op: Op): Outcome {
  const repeats = op.inputs[1] && valuesOf(op.inputs[1])
  if (repeats === undefined || op.isDependentBeside(0)) {
    return op.isDependent ? op.refuse('repeats the batch along axes that are not known') : unranked
  }
  const dims = op.dims.map((size, axis) => product([size, repeats[axis] ?? one]) ?? freshSize())
  const wide = repeats.findIndex((size) => size.rows)
  if (wide === -1) {
    const before = op.rows && product([op.rows.before, repeats[op.rows.axis] ?? one])
    return op.like(dims, op.rows && before && { axis: op.rows.axis, before })
  }
  if (op.rows !== undefined || repeats.some((size, axis) => size.rows && axis !== wide))
    return op.refuse(PAIRS_ROWS)
  return op.like(dims, { axis: wide, before: one })
}

function constantOfShape(op: Op): Outcome {
  const dims = valuesOf(op.first)
  if (dims === undefined) return op.isDependent ? op.mixed() : unranked
  const axes = dims.flatMap((size, axis) => (size.rows ? [axis] : []))
  const [axis] = axes
  if (op.isDependent || axes.length > 1 || (axis === undefined && countsRows(op.first)))
    return op.refuse(PAIRS_ROWS)
  return { ...placed(dims, axis === undefined ? undefined : { axis, before: one }), isUniform: true }
}
