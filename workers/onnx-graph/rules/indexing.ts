import type { Op, Outcome, Rule } from '../op.js'
import {
  batched,
  fromFront,
  isAlongBatch,
  isDependent,
  type Size,
  shared,
  type Trace,
  unclear,
} from '../trace.js'
import { rulesOf } from './rules-of.js'

export const indexingRules: ReadonlyMap<string, Rule> = rulesOf(
  ['Concat', concat],
  ['Split', split],
  ['Slice', slice],
  ['Gather', gather],
  ['GatherElements', gatherElements],
  ['GatherND', gatherNd],
  ['ScatterElements Scatter', scatterElements],
)

/** What numbers stand for "to the end" in a slice. */
const farAway = 2 ** 31 - 1

function concat(op: Op): Outcome {
  const rank = op.present.find((trace) => trace.rank !== undefined)?.rank
  const dependent = op.present.filter(isDependent)
  const [first] = dependent
  if (first === undefined) return shared(rank)
  const along = fromFront(op.int('axis') ?? 1, rank)
  const isAlike = typeof first.axis === 'number' && dependent.every((trace) => trace.axis === first.axis)
  return isAlike && along !== undefined && along !== first.axis ? { axis: first.axis, rank } : unclear(rank)
}

function split(op: Op): Outcome {
  const { axis, rank } = op.first
  if (op.isDependentBeside(0)) return unclear(rank)
  const isWhole = op.node.outputs.length === 1 || typeof axis !== 'number'
  return isWhole || !isAlongBatch(op.first, [op.int('axis') ?? 0]) ? { axis, rank } : unclear(rank)
}

function slice(op: Op): Outcome {
  const { axis, rank } = op.first
  const starts = op.numbers('starts', 1)
  const ends = op.numbers('ends', 2)
  const listed = op.axes('axes', 3)
  if (op.isDependentBeside(0)) return unclear(rank)
  if (listed === 'unknown' || typeof starts === 'string') return { axis, rank }
  const axes = listed === 'absent' ? starts.map((_, at) => at) : listed
  const at = axes.findIndex((each) => fromFront(each, rank) === axis)
  const steps = op.numbers('steps', 4)
  const step = steps === 'absent' ? 1 : known(steps, at)
  const isTaken = typeof axis === 'number' && at !== -1
  return isTaken && isPart(starts[at], known(ends, at), step)
    ? op.refuseAxis('takes a part of', op.first)
    : { axis, rank }
}

function known(sizes: readonly Size[] | 'absent' | 'unknown', at: number): Size {
  return typeof sizes === 'string' ? undefined : sizes[at]
}

/** Whether a slice leaves rows out or turns them round for certain. */
function isPart(start: Size, end: Size, step: Size): boolean {
  if (typeof step === 'number' && step !== 1) return true
  if (typeof start === 'number' && start !== 0 && start > -farAway) return true
  return typeof end === 'number' && end < farAway
}

function gather(op: Op): Outcome {
  const data = op.first
  const indices = op.inputs[1] ?? shared(undefined)
  const rank =
    data.rank === undefined || indices.rank === undefined ? undefined : data.rank + indices.rank - 1
  const along = fromFront(op.int('axis') ?? 0, data.rank)
  if (!op.isDependent) return shared(rank)
  if (along === undefined || data.axis === 'unknown' || indices.axis === 'unknown') return unclear(rank)
  if (data.axis === along) return gatherRows(op, indices, rank)
  if (typeof indices.axis === 'number') {
    return isDependent(data) ? unclear(rank) : batched(along + indices.axis, rank)
  }
  const axis = Number(data.axis)
  if (axis < along) return batched(axis, rank)
  return indices.rank === undefined ? unclear(rank) : batched(axis - 1 + indices.rank, rank)
}

function gatherRows(op: Op, indices: Trace, rank: number | undefined): Outcome {
  if (isDependent(indices)) return op.refuse('lets rows of the batch choose other rows')
  const isFixed = indices.sizes?.every((size) => typeof size === 'number') ?? false
  return isFixed ? op.refuse('takes rows of the batch by their place') : unclear(rank)
}

function gatherElements(op: Op): Outcome {
  const data = op.first
  const indices = op.inputs[1] ?? shared(undefined)
  const { rank } = indices
  if (!op.isDependent) return shared(rank)
  if (!isDependent(data)) return { axis: indices.axis, rank }
  if (!isDependent(indices) || indices.axis !== data.axis) return unclear(rank)
  if (data.axis !== 'unknown' && isAlongBatch(data, [op.int('axis') ?? 0])) {
    return op.refuse('lets rows of the batch choose other rows')
  }
  return { axis: data.axis, rank }
}

/** Leading axes that both sides share are gone through one by one: the batch may be one of these. */
function gatherNd(op: Op): Outcome {
  const { axis } = op.first
  const isPaired = typeof axis === 'number' && axis < (op.int('batch_dims') ?? 0)
  if (!isPaired || op.inputs[1]?.axis !== axis) return op.unsure()
  return batched(axis, undefined)
}

function scatterElements(op: Op): Outcome {
  const { axis, rank } = op.first
  const isAlike = op.present.every((trace) => trace.axis === axis)
  const isAcross = isAlongBatch(op.first, [op.int('axis') ?? 0])
  return isAlike && typeof axis === 'number' && !isAcross ? { axis, rank } : op.unsure(rank)
}
