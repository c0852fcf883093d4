import type { Flow, FlowRule } from '../trace/flow.js'
import { freshSize } from '../trace/op.js'
import { one, type Size } from '../trace/size.js'
import {
  isRefused,
  isSequence,
  isTensor,
  join,
  placed,
  sequenceOf,
  shared,
  type Trace,
  unranked,
} from '../trace/trace.js'
import { added } from './shape.js'

/** Sequences of tensors that are alike but for their sizes. */
export const sequenceRules: ReadonlyMap<string, FlowRule> = new Map([
  ['SequenceEmpty', () => sequenceOf(undefined)],
  [
    'SequenceConstruct',
    (flow) =>
      flow.inputs.reduce<Trace>((sequence, trace) => inserted(flow, sequence, trace), sequenceOf(undefined)),
  ],
  ['SequenceInsert', (flow) => inserted(flow, flow.inputs[0], flow.inputs[1])],
  ['SequenceErase', (flow) => flow.inputs[0] ?? unranked],
  ['SequenceLength', (flow) => (isRefused(flow.inputs[0]) ? flow.inputs[0] : shared([]))],
  ['SequenceAt', at],
  ['SplitToSequence', split],
  ['ConcatFromSequence', concat],
])

function inserted(flow: Flow, into: Trace | undefined, trace: Trace | undefined): Trace {
  if (isRefused(into)) return into
  if (trace === undefined || !isSequence(into)) return flow.refuse('makes a sequence that is not followed')
  return join(into, sequenceOf(trace), flow.slot, flow.refuse)
}

/** Each element has sizes of its own along the axes that are not the batch's. */
function elementOf(flow: Flow, sequence: Trace | undefined): Trace {
  if (isRefused(sequence)) return sequence
  const element = isSequence(sequence) ? sequence.element : undefined
  if (element === undefined) return flow.refuse('takes from a sequence that is not followed')
  return element
}

function at(flow: Flow): Trace {
  const [, place] = flow.inputs
  if (isRefused(place)) return place
  if (isTensor(place) && (place.rows !== undefined || place.values?.some((value) => value.rows))) {
    return flow.refuse('lets the batch choose an element of a sequence')
  }
  const element = elementOf(flow, flow.inputs[0])
  if (!isTensor(element)) return element
  const own = (size: Size): Size => (size.names.length === 0 ? size : { ...freshSize(), rows: size.rows })
  return placed(element.dims.map(own), element.rows)
}

function split(flow: Flow): Trace {
  const [input, parts] = flow.inputs
  if (isRefused(input)) return input
  if (isRefused(parts)) return parts
  if (!isTensor(input) || (isTensor(parts) && parts.rows !== undefined))
    return flow.refuse('splits a tensor that is not followed')
  const axis = flow.int('axis') ?? 0
  const along = axis < 0 ? axis + input.dims.length : axis
  const { rows } = input
  if (rows?.axis === along) return flow.refuse('makes rows of the batch elements of a sequence')
  const isDropped = parts === undefined && (flow.int('keepdims') ?? 1) === 0
  const sizes = (size: Size, axis: number): Size =>
    axis === along ? (parts === undefined ? one : freshSize()) : size
  const dims = input.dims.map(sizes).filter((_, axis) => !isDropped || axis !== along)
  const moved = rows && { ...rows, axis: isDropped && rows.axis > along ? rows.axis - 1 : rows.axis }
  return sequenceOf(placed(dims, moved))
}

function concat(flow: Flow): Trace {
  const element = elementOf(flow, flow.inputs[0])
  if (!isTensor(element)) return element
  const isNew = (flow.int('new_axis') ?? 0) !== 0
  const rank = element.dims.length + Number(isNew)
  const axis = flow.int('axis') ?? 0
  const along = axis < 0 ? axis + rank : axis
  if (isNew) return placed(...added(element, [along], freshSize()))
  if (element.rows?.axis === along) return flow.refuse('joins rows of the batch with others')
  return placed(
    element.dims.map((size, axis) => (axis === along ? freshSize() : size)),
    element.rows,
  )
}
