import { freshSize, type Op, type Outcome } from '../../trace/op.js'
import { isNumber, known, one, type Size } from '../../trace/size.js'
import { isDependent, placed, type RefusedTrace, shared, type TensorTrace } from '../../trace/trace.js'
import { rulesOf } from '../rules-of.js'

/** Operators whose first axis is the batch, and which work on each row separately. */
export const imageRules = rulesOf(
  ['Conv ConvInteger', (op) => rowsFirst(op, [0], channels(op, op.inputs[1]?.dims[0]))],
  ['QLinearConv', (op) => rowsFirst(op, [0], channels(op, op.inputs[3]?.dims[0]))],
  ['ConvTranspose', (op) => rowsFirst(op, [0], channels(op, widened(op)))],
  ['AveragePool LpPool', (op) => rowsFirst(op, [0], channels(op, op.dims[1]))],
  ['MaxPool', maxPool],
  [
    'GlobalAveragePool GlobalMaxPool GlobalLpPool',
    (op) =>
      rowsFirst(
        op,
        [0],
        op.dims.map((size, axis) => (axis < 2 ? size : one)),
      ),
  ],
  ['DepthToSpace SpaceToDepth', (op) => rowsFirst(op, [0], channels(op, undefined))],
  ['GridSample', (op) => rowsFirst(op, [0, 1], channels(op, op.dims[1]))],
  ['DeformConv', (op) => rowsFirst(op, [0, 2, 4], channels(op, op.inputs[1]?.dims[0]))],
  ['STFT', (op) => rowsFirst(op, [0], [op.dims[0] ?? one, freshSize(), freshSize(), known(2)])],
  ['BatchNormalization', batchNorm],
  ['InstanceNormalization GroupNormalization', (op) => rowsFirst(op, [0], op.dims)],
  ['LRN', (op) => op.along([1], 'normalises over')],
)

export const microsoftImageRules = rulesOf(
  ['FusedConv', (op) => rowsFirst(op, [0, 3], channels(op, op.inputs[1]?.dims[0]))],
  ['GroupNorm', (op) => rowsFirst(op, [0], op.dims)],
  [
    'QLinearAveragePool QLinearGlobalAveragePool',
    (op) =>
      rowsFirst(
        op,
        [0],
        op.dims.map((size, axis) => (axis === 0 ? size : freshSize())),
      ),
  ],
)

/** Returns the first input's batch with another number of channels, and with pixels of unknown number. */
function channels(op: Op, count: Size | undefined): readonly Size[] {
  return op.dims.map((size, axis) => (axis === 0 ? size : axis === 1 ? (count ?? freshSize()) : freshSize()))
}

function widened(op: Op): Size | undefined {
  const own = op.inputs[1]?.dims[1]
  return own && { ...own, times: own.times * (op.int('group') ?? 1) }
}

/** Rows along axis 0 of each of these inputs; all others are the same for all rows. */
export function rowsFirst(
  op: Op,
  places: readonly number[],
  dims: readonly Size[],
): TensorTrace | RefusedTrace {
  const rows = places.map((place) => op.inputs[place]).filter(isDependent)
  const [first] = rows
  if (op.isDependentBeside(...places)) return op.mixed()
  if (first === undefined) return shared(dims)
  if (rows.some((input) => input.rows.axis !== 0)) return op.refuse('works over the batch axis')
  if (!rows.every((input) => isNumber(input.rows.before, 1)) && rows.length > 1) {
    return op.refuse('pairs different rows of the batch')
  }
  const [batch = one, ...others] = dims
  return placed([batch.rows ? batch : (first.dims[0] ?? batch), ...others], {
    axis: 0,
    before: first.rows.before,
  })
}

/** Rule for MaxPool: the second output is the place of an element in the whole batch. */
function maxPool(op: Op): Outcome {
  const pooled = rowsFirst(op, [0], channels(op, op.dims[1]))
  return [pooled, op.isDependent ? op.refuse('counts the elements of the whole batch') : pooled]
}

/** Before version 14 the further outputs meant training; before version 7 only an attribute said it does not. */
function batchNorm(op: Op): Outcome {
  const outputs = op.node.outputs.filter((name) => name !== '').length
  const isTraining =
    op.opset >= 14 ? op.flag('training_mode') : outputs > 1 || (op.opset < 7 && !op.flag('is_test'))
  if (isTraining && op.isDependent) return op.refuse('is in training mode and normalises over the batch')
  return op.along([1], 'has weights for each place along')
}
