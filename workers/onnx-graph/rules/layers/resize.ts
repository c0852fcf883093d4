import { freshSize, type Op, type Outcome } from '../../trace/op.js'
import { isNumber, isSameSize, known, numberOf, one, type Size } from '../../trace/size.js'
import type { RefusedTrace } from '../../trace/trace.js'
import { rulesOf } from '../rules-of.js'

/** Operators that keep the order of axes and must not resize that of the batch. */
export const resizeRules = rulesOf(
  ['Resize', resize],
  ['Upsample', (op) => scaled(op, op.numbers('scales', 1), undefined)],
  ['Pad', pad],
  ['Trilu', (op) => op.along([op.rank - 1, op.rank - 2], 'cuts a triangle along')],
)

/** Operators of onnxruntime's own domain. */
export const microsoftResizeRules = rulesOf(
  ['Pad', pad],
  ['Trilu', (op) => op.along([op.rank - 1, op.rank - 2], 'cuts a triangle along')],
)

function resize(op: Op): Outcome {
  if (op.opset < 11) return scaled(op, op.numbers('scales', 1), undefined)
  const scales = op.inputs[2]
  const isEmpty = scales === undefined || scales.dims.some((size) => isNumber(size, 0))
  const listed = op.ints('axes')?.map((axis) => op.axis(axis))
  return scaled(op, isEmpty ? 'absent' : op.numbers('scales', 2), op.numbers('sizes', 3), listed)
}

/**
 * The batch keeps its size. Interpolation of two and three axes reads the next row, with weight 0, which
 * spreads NaN; that of four and five leaves the first two axes alone.
 */
function scaled(
  op: Op,
  scales: ReturnType<Op['numbers']>,
  sizes: ReturnType<Op['numbers']> | undefined,
  axes: readonly number[] = op.dims.map((_, axis) => axis),
): Outcome {
  const mode = op.string('mode') ?? 'nearest'
  const given = (list: ReturnType<Op['numbers']> | undefined, axis: number): Size | undefined =>
    list === undefined || typeof list === 'string' ? undefined : list[axes.indexOf(axis)]
  const dims = op.dims.map((size, axis) => {
    if (!axes.includes(axis) || isNumber(given(scales, axis), 1)) return size
    const asked = given(sizes, axis)
    return asked !== undefined && numberOf(asked) !== undefined ? known(numberOf(asked) ?? 1) : freshSize()
  })
  const { rows } = op
  if (rows === undefined) return op.like(dims)
  const size = op.dims[rows.axis] ?? one
  const asked = given(sizes, rows.axis)
  const isKept =
    !axes.includes(rows.axis) ||
    isNumber(given(scales, rows.axis), 1) ||
    (asked !== undefined && isSameSize(asked, size))
  if (!isKept) return op.refuse('resizes the batch axis, or may do so')
  const isCropped = op.string('coordinate_transformation_mode') === 'tf_crop_and_resize'
  if (
    isCropped ||
    op.string('keep_aspect_ratio_policy') === 'not_larger' ||
    op.string('keep_aspect_ratio_policy') === 'not_smaller'
  ) {
    return op.refuse('resizes in a way that is not known to leave the batch axis alone')
  }
  if (mode !== 'nearest' && (op.rank < 4 || rows.axis !== 0)) return spreads(op)
  return op.like(dims.map((scaled, axis) => (axis === rows.axis ? size : scaled)))
}

function spreads(op: Op): RefusedTrace {
  return op.refuse('interpolates between rows of the batch, which spreads NaN and infinities')
}

/** Sizes in front of each axis, then behind each; version 18 has an input that says of which axes. */
function pad(op: Op): Outcome {
  const pads = op.numbers(op.node.attributes.has('paddings') ? 'paddings' : 'pads', 1)
  const listed = op.axes('axes', 3)
  if (typeof pads === 'string' || listed === 'unknown') {
    return op.isDependent
      ? op.refuse('adds elements along axes that are not known')
      : op.like(op.dims.map(freshSize))
  }
  const axes = listed === 'absent' ? op.dims.map((_, axis) => axis) : listed
  const isNone = (axis: number): boolean => {
    const at = axes.indexOf(axis)
    return at === -1 || (isNumber(pads[at], 0) && isNumber(pads[at + axes.length], 0))
  }
  if (op.rows !== undefined && !isNone(op.rows.axis))
    return op.refuse('adds elements along the batch axis, or may do so')
  return op.like(op.dims.map((size, axis) => (isNone(axis) ? size : freshSize())))
}
