import type { Op, Outcome, Rule } from '../op.js'
import { batched, isDependent, isFromAxisOn, type Trace, unclear } from '../trace.js'
import { ofFirst } from './elementwise.js'
import { rulesOf } from './rules-of.js'

/** The batch comes first, and each row is worked on by itself. */
const convolutions = 'Conv ConvTranspose ConvInteger FusedConv'
const perRow = `
  QLinearConv AveragePool MaxPool LpPool GlobalAveragePool
  GlobalMaxPool GlobalLpPool QLinearAveragePool QLinearGlobalAveragePool DepthToSpace SpaceToDepth`

export const imageRules: ReadonlyMap<string, Rule> = rulesOf(
  // The weights have as many axes as what they are applied to.
  [convolutions, (op) => rowsFirst(op, [0], op.first.rank ?? op.inputs[1]?.rank)],
  [perRow, (op) => rowsFirst(op, [0], op.first.rank)],
  ['MaxUnpool GridSample', (op) => rowsFirst(op, [0, 1], op.first.rank)],
  ['DeformConv', (op) => rowsFirst(op, [0, 2, 4], op.first.rank)],
  ['Col2Im', (op) => rowsFirst(op, [0], undefined)],
  ['STFT', (op) => rowsFirst(op, [0], 4)],
  ['BatchNormalization', batchNorm],
  ['InstanceNormalization', (op) => normalised(op, 2)],
  ['GroupNormalization GroupNorm', (op) => normalised(op, 1)],
  ['LRN', lrn],
)

/** Rows along axis 0 of each of these inputs; anything else is unclear. */
export function rowsFirst(op: Op, places: readonly number[], rank: number | undefined): Trace {
  if (!op.isDependent) return op.unsure(rank)
  const rows = places.map((place) => op.inputs[place]).filter(isDependent)
  const isClear = rows.every(({ axis }) => axis === 0) && !op.isDependentBeside(...places)
  return isClear ? batched(0, rank) : unclear(rank)
}

/** Before version 14 the further outputs meant training; before version 7 only an attribute said it does not. */
function batchNorm(op: Op): Outcome {
  const outputs = op.node.outputs.filter((name) => name !== '').length
  const isTraining =
    op.opset >= 14
      ? (op.int('training_mode') ?? 0) !== 0
      : outputs > 1 || (op.opset < 7 && (op.int('is_test') ?? 0) === 0)
  if (isTraining && op.isDependent) return op.refuse('is in training mode and normalises over the batch')
  return ofFirst(op)
}

/** Normalises over all axes from this one on, and keeps the shape. */
function normalised(op: Op, from: number): Outcome {
  return isFromAxisOn(op.first, from) ? op.refuseAxis('normalises over', op.first) : ofFirst(op)
}

function lrn(op: Op): Outcome {
  return op.first.axis === 1 ? op.refuseAxis('normalises over', op.first) : ofFirst(op)
}
