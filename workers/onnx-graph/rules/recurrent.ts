import type { Op, Outcome, Rule } from '../op.js'
import { batched, isDependent, shared, type Trace, unclear } from '../trace.js'
import { rulesOf } from './rules-of.js'

export const recurrentRules: ReadonlyMap<string, Rule> = rulesOf(
  ['LSTM GRU RNN', recurrent],
  ['ReverseSequence', reverse],
)

/** Inputs: X, W, R, B, sequence_lens, initial_h, initial_c, P. Outputs: Y, Y_h, Y_c. */
function recurrent(op: Op): Outcome {
  const rowsFirst = (op.int('layout') ?? 0) !== 0
  const input = op.first
  const place = rowsFirst ? 0 : 1
  if (input.axis === 1 - place) return op.refuseAxis('steps along', input)
  if (input.axis === 2) return op.refuseAxis('sums over', input)
  const ranks = [4, 3, 3]
  if (!op.isDependent) return ranks.map((rank) => shared(rank))
  const isAt = (trace: Trace | undefined, axis: number): boolean => !isDependent(trace) || trace.axis === axis
  const isClear =
    isAt(input, place) &&
    isAt(op.inputs[4], 0) &&
    isAt(op.inputs[5], place) &&
    isAt(op.inputs[6], place) &&
    ![1, 2, 3, 7].some((weights) => isDependent(op.inputs[weights]))
  if (!isClear) return ranks.map((rank) => unclear(rank))
  return [batched(rowsFirst ? 0 : 2, 4), batched(place, 3), batched(place, 3)]
}

function reverse(op: Op): Outcome {
  const { axis, rank } = op.first
  const lengths = op.inputs[1]
  const batchAxis = op.int('batch_axis') ?? 1
  if (axis === (op.int('time_axis') ?? 0)) return op.refuseAxis('reverses', op.first)
  if (!isDependent(lengths)) return { axis, rank }
  const isClear = lengths.axis === 0 && (axis === batchAxis || axis === 'none')
  return isClear ? batched(batchAxis, rank) : unclear(rank)
}
