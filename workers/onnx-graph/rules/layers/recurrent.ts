import { freshSize, type Op, type Outcome } from '../../trace/op.js'
import { isNumber, isOneOrFixed, known, one, type Size } from '../../trace/size.js'
import { isDependent, placed, shared } from '../../trace/trace.js'
import { PAIRS_ROWS } from '../elementwise.js'
import { rulesOf } from '../rules-of.js'

export const recurrentRules = rulesOf(['LSTM GRU RNN', recurrent], ['ReverseSequence', reverse])

/** Inputs: X, W, R, B, sequence_lens, initial_h, initial_c, P. Outputs: Y, Y_h, Y_c. */
function recurrent(op: Op): Outcome {
  if (op.rank !== 3) return op.fail('takes three axes')
  const isRowsFirst = op.flag('layout')
  const place = isRowsFirst ? 0 : 1
  if (op.isBatch(1 - place)) return op.refuse('steps along the batch axis')
  if (op.isBatch(2)) return op.refuse('sums over the batch axis')
  const [steps = one, batch = one] = isRowsFirst ? [op.dims[1], op.dims[0]] : [op.dims[0], op.dims[1]]
  const ways = op.string('direction') === 'bidirectional' ? known(2) : one
  const width = op.int('hidden_size') === undefined ? freshSize() : known(op.int('hidden_size') ?? 0)
  const dims = (rows: Size): (readonly Size[])[] =>
    isRowsFirst
      ? [
          [rows, steps, ways, width],
          [rows, ways, width],
          [rows, ways, width],
        ]
      : [
          [steps, ways, rows, width],
          [ways, rows, width],
          [ways, rows, width],
        ]
  if (!op.isDependent) return dims(batch).map((sizes) => shared(sizes))
  const placesOf: readonly (readonly [input: number, axis: number])[] = [
    [0, place],
    [4, 0],
    [5, place],
    [6, place],
  ]
  if (op.isDependentBeside(...placesOf.map(([input]) => input))) return op.mixed()
  for (const [input, axis] of placesOf) {
    const trace = op.inputs[input]
    if (trace === undefined) continue
    const isFit = isDependent(trace)
      ? trace.rows.axis === axis && isNumber(trace.rows.before, 1)
      : isOneOrFixed(trace.dims[axis] ?? one)
    if (!isFit)
      return op.refuse(isDependent(trace) ? 'takes the batch axis of an input for another' : PAIRS_ROWS)
  }
  const rows = op.present.find(isDependent)?.dims.find((size) => size.rows) ?? one
  const axes = isRowsFirst ? [0, 0, 0] : [2, 1, 1]
  return dims(rows).map((sizes, at) => placed(sizes, { axis: axes[at] ?? 0, before: one }))
}

function reverse(op: Op): Outcome {
  const lengths = op.inputs[1]
  const axis = op.axis(op.int('batch_axis') ?? 1)
  if (op.isBatch(op.axis(op.int('time_axis') ?? 0))) return op.refuse('reverses the batch axis')
  if (!isDependent(lengths)) {
    const isFit = !op.isBatch(axis) || lengths === undefined || isOneOrFixed(lengths.dims[0] ?? one)
    return isFit ? op.like() : op.refuse(PAIRS_ROWS)
  }
  const isFit =
    op.rows === undefined
      ? isOneOrFixed(op.dims[axis] ?? one)
      : op.isBatch(axis) && isNumber(op.rows.before, 1)
  if (!isFit || !isNumber(lengths.rows.before, 1)) return op.refuse(PAIRS_ROWS)
  return placed(
    op.dims.map((size, at) => (at === axis ? (lengths.dims[0] ?? size) : size)),
    { axis, before: one },
  )
}
