import { freshSize, type Op, type Outcome } from '../trace/op.js'
import { isNumber, isOneOrFixed, isSameSize, known, numberOf, one, type Size, zero } from '../trace/size.js'
import { sliceRange } from '../trace/slice-range.js'
import { isDependent, placed, type RefusedTrace, shared, unranked } from '../trace/trace.js'
import { commonPlace, PAIRS_ROWS } from './elementwise.js'
import { rulesOf } from './rules-of.js'

export const indexingRules = rulesOf(
  ['Concat', concat],
  ['Split', split],
  ['Slice', slice],
  ['Gather', gather],
  ['GatherElements', gatherElements],
  ['GatherND', gatherNd],
  ['ScatterElements Scatter', scatterElements],
  ['ScatterND', scatterNd],
)

/** Smallest number that stands for "to the end" in a slice. */
const FAR_AWAY = 2 ** 31 - 1
const CHOOSES_ROWS = 'lets rows of the batch choose other rows'

/** Returns the place of the rows if all inputs that depend on them have the same, or a refusal. */
function sameRows(op: Op, does: string): ReturnType<typeof commonPlace> | RefusedTrace {
  const ranks = new Set(op.present.filter(isDependent).map(({ dims }) => dims.length))
  const place = commonPlace(op.present, op.present.find(isDependent)?.dims.length ?? 0)
  return place === 'crossed' || ranks.size > 1 ? op.refuse(does) : place
}

function concat(op: Op): Outcome {
  const along = op.axis(op.int('axis') ?? 1)
  const rows = sameRows(op, 'joins tensors with the batch at different axes')
  if (rows !== undefined && (typeof rows === 'string' || 'refused' in rows)) return rows as RefusedTrace
  if (rows?.axis === along && op.present.length > 1) return op.refuse('joins rows of the batch with others')
  const isAlike = op.present.every(
    ({ dims, rows: own }) => own !== undefined || rows === undefined || isOneOrFixed(dims[rows.axis] ?? one),
  )
  if (!isAlike) return op.refuse(PAIRS_ROWS)
  const parts = op.present.map(({ dims }) => numberOf(dims[along]))
  const total = parts.every((part) => part !== undefined)
    ? known(parts.reduce((sum, part) => sum + part, 0))
    : freshSize()
  const like = op.present.find(isDependent) ?? op.first
  return placed(
    like.dims.map((size, axis) => (axis !== along || op.present.length === 1 ? size : total)),
    rows,
  )
}

function split(op: Op): Outcome {
  const along = op.axis(op.int('axis') ?? 0)
  const sizes = op.numbers('split', 1)
  if (op.isBatch(along) && op.node.outputs.length > 1)
    return op.refuse('gives rows of the batch to different outputs')
  return op.node.outputs.map((_, at) => {
    const size = typeof sizes === 'string' ? freshSize() : (sizes[at] ?? freshSize())
    return op.like(op.dims.map((old, axis) => (axis === along && op.node.outputs.length > 1 ? size : old)))
  })
}

function slice(op: Op): Outcome {
  const [starts, ends, steps] = [op.numbers('starts', 1), op.numbers('ends', 2), op.numbers('steps', 4)]
  const listed = op.axes('axes', 3)
  if (typeof starts === 'string' || typeof ends === 'string' || listed === 'unknown') {
    return op.isDependent
      ? op.refuse('takes a part along axes that are not known')
      : shared(op.dims.map(freshSize))
  }
  const axes = listed === 'absent' ? starts.map((_, at) => at) : listed
  const stepAt = (at: number): Size =>
    steps === 'absent' ? one : typeof steps === 'string' ? freshSize() : (steps[at] ?? one)
  const sizes = op.dims.map((size, axis) => {
    const at = axes.indexOf(axis)
    return at === -1 ? size : taken(size, starts[at] ?? zero, ends[at] ?? size, stepAt(at))
  })
  const isOf = (axis: number): boolean => axis === op.rows?.axis
  // A batch of another size would have another part taken.
  if (axes.some((axis, at) => !isOf(axis) && (starts[at]?.rows || ends[at]?.rows)))
    return op.refuse(PAIRS_ROWS)
  const isPart = sizes.some((size, axis) => isOf(axis) && !isSameSize(size, op.dims[axis] ?? one))
  return isPart ? op.refuse('takes a part of the batch axis') : op.like(sizes)
}

/** Returns the size of an axis after a slice. */
function taken(size: Size, start: Size, end: Size, step: Size): Size {
  const isToEnd = (numberOf(end) ?? 0) >= FAR_AWAY || isSameSize(end, size)
  if (isNumber(start, 0) && isToEnd && isNumber(step, 1)) return size
  const [all, from, until, by] = [size, start, end, step].map(numberOf)
  if (all === undefined || from === undefined || until === undefined || !by) return freshSize()
  return known(sliceRange(all, from, until, by)[1])
}

function gather(op: Op): Outcome {
  const data = op.first
  const indices = op.inputs[1] ?? shared([])
  const along = op.axis(op.int('axis') ?? 0)
  const dims = [...data.dims.slice(0, along), ...indices.dims, ...data.dims.slice(along + 1)]
  if (op.isBatch(along))
    return op.refuse(isDependent(indices) ? CHOOSES_ROWS : 'takes rows of the batch by their place')
  if (data.rows !== undefined && indices.rows !== undefined) return op.refuse(CHOOSES_ROWS)
  if (indices.rows !== undefined) return placed(dims, { ...indices.rows, axis: along + indices.rows.axis })
  const { rows } = data
  return placed(
    dims,
    rows && { ...rows, axis: rows.axis < along ? rows.axis : rows.axis - 1 + indices.dims.length },
  )
}

/** Rule for GatherElements: each index replaces one coordinate of its own place. */
function gatherElements(op: Op): Outcome {
  const indices = op.inputs[1] ?? shared([])
  const along = op.axis(op.int('axis') ?? 0)
  if (op.isBatch(along)) return op.refuse(CHOOSES_ROWS)
  if (!isDependent(op.first)) {
    return indices.rows === undefined || indices.rows.axis === along ? indices : op.refuse(PAIRS_ROWS)
  }
  const rows = sameRows(op, CHOOSES_ROWS)
  if (!isDependent(indices)) return op.refuse('takes rows of the batch by their place')
  return rows !== undefined && 'refused' in (rows as object)
    ? (rows as RefusedTrace)
    : placed(indices.dims, indices.rows)
}

/** Rule for GatherND. Leading axes that both inputs share are processed one by one; the batch may be one of these. */
function gatherNd(op: Op): Outcome {
  const [data, indices] = [op.first, op.inputs[1] ?? shared([one])]
  const paired = op.int('batch_dims') ?? 0
  const depth = numberOf(indices.dims.at(-1))
  if (depth === undefined)
    return op.isDependent ? op.refuse('takes elements by indices of unknown length') : unranked
  const dims = [...indices.dims.slice(0, -1), ...data.dims.slice(paired + depth)]
  const [of, by] = [data.rows, indices.rows]
  if (by !== undefined && by.axis === indices.dims.length - 1)
    return op.refuse('has rows of the batch as parts of one index')
  if (of === undefined) return by !== undefined && by.axis < paired ? op.refuse(PAIRS_ROWS) : placed(dims, by)
  if (by !== undefined) {
    const isPaired = of.axis === by.axis && of.axis < paired && isSameSize(of.before, by.before)
    return isPaired ? placed(dims, by) : op.refuse(CHOOSES_ROWS)
  }
  if (of.axis < paired + depth) return op.refuse('takes rows of the batch by their place')
  return placed(dims, { ...of, axis: indices.dims.length - 1 + of.axis - paired - depth })
}

function scatterElements(op: Op): Outcome {
  if (!op.isDependent) return shared(op.dims)
  const along = op.axis(op.int('axis') ?? 0)
  const rows = sameRows(op, CHOOSES_ROWS)
  if (!op.present.every(isDependent) || typeof rows !== 'object' || 'refused' in rows || op.isBatch(along)) {
    return op.refuse('changes rows of the batch by their place')
  }
  return placed(op.dims, op.rows)
}

/** Rule for ScatterND: indices of the leading axes, the same for all rows, and the values for these places. */
function scatterNd(op: Op): Outcome {
  const [data, indices, updates] = [op.first, op.inputs[1] ?? shared([one]), op.inputs[2] ?? shared([])]
  if (!op.isDependent) return shared(op.dims)
  const depth = numberOf(indices.dims.at(-1))
  const isFree = depth !== undefined && !isDependent(indices) && isDependent(data) && data.rows.axis >= depth
  const isAlike =
    isFree &&
    updates.rows?.axis === indices.dims.length - 1 + data.rows.axis - depth &&
    isSameSize(updates.rows.before, data.rows.before)
  return isAlike ? placed(op.dims, op.rows) : op.refuse('changes rows of the batch by their place')
}
