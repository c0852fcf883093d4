import type { GraphNode } from '../file/graph.js'
import { isNumber, isSameSize, numberOf, one, rowCount } from './size.js'
import {
  isDependent,
  isRefused,
  isTensor,
  placed,
  type RefusedTrace,
  type RowPlaces,
  type Trace,
} from './trace.js'

/** Operators that keep the elements of their first input. */
const keeping: readonly string[] = ['Cast', 'Expand', 'Identity', 'Squeeze', 'Transpose', 'Unsqueeze']

/**
 * Follows the places of the rows, `Range(0, n)`, up to an operator by which a row takes a part of itself by
 * its own place, as `x[arange(n), index]` does. Returns undefined if the operator uses them in another way.
 *
 * @param evaluate - Returns the outcome of the operator's rule for these inputs.
 */
export function followRowPlaces(
  node: GraphNode,
  inputs: readonly (Trace | undefined)[],
  evaluate: (inputs: readonly (Trace | undefined)[]) => Trace | readonly Trace[],
): Trace | undefined {
  if (node.domain !== '') return undefined
  if (node.op === 'Range') return isEachRow(inputs) ? ofRows(node) : undefined
  const refused = inputs.filter(isRefused)
  const [reason] = refused
  if (reason === undefined || refused.some(({ places }) => places === undefined)) return undefined
  const tensors = inputs.map((trace) => (isRefused(trace) ? trace.places?.tensor : trace))
  const isAlone = refused.length === 1
  if (node.op === 'GatherND' && isAlone && kindOf(inputs[1]) === 'index') return taken(node, tensors)
  const [tensor] = [evaluate(tensors)].flat()
  if (!isTensor(tensor)) return undefined
  if (node.op === 'Shape') return tensor
  const kind = isAlone && kindOf(inputs[0]) === 'place' ? kindAfter(node, tensors[0]) : undefined
  if (kind === undefined && node.op !== 'Add') return undefined
  return { refused: reason.refused, places: { tensor, kind: kind ?? 'shape' } }
}

function kindOf(trace: Trace | undefined): RowPlaces['kind'] | undefined {
  return isRefused(trace) ? trace.places?.kind : undefined
}

/** Returns the kind of the output if places are the first input of an operator. */
function kindAfter(node: GraphNode, places: Trace | undefined): RowPlaces['kind'] | undefined {
  if (keeping.includes(node.op)) return 'place'
  const last = isTensor(places) ? places.dims.length - 1 : undefined
  const axis = node.attributes.get('axis')?.int
  const isIndex = node.op === 'Concat' && (axis === -1 || axis === last)
  return isIndex && isTensor(places) && isNumber(places.dims.at(-1), 1) ? 'index' : undefined
}

/** Returns true if a Range counts the rows of the batch. */
function isEachRow(inputs: readonly (Trace | undefined)[]): boolean {
  const [start, limit, step] = inputs.map((trace) => (isTensor(trace) ? trace.values?.[0] : undefined))
  return isNumber(start, 0) && limit !== undefined && isSameSize(limit, rowCount) && isNumber(step, 1)
}

function ofRows({ op, name }: GraphNode): RefusedTrace {
  const tensor = { ...placed([rowCount], { axis: 0, before: one }), type: 7 }
  return {
    refused: `${op} "${name}" gives each row its place in the batch`,
    places: { tensor, kind: 'place' },
  }
}

/** Returns the trace of a GatherND by which each row takes a part of itself; undefined if it is another one. */
function taken(node: GraphNode, [data, indices]: readonly (Trace | undefined)[]): Trace | undefined {
  const isPlain = (node.attributes.get('batch_dims')?.int ?? 0) === 0
  if (!isPlain || !isDependent(data) || !isDependent(indices) || data.rows.axis !== 0) return undefined
  const depth = numberOf(indices.dims.at(-1))
  if (depth === undefined || !isSameSize(data.dims[0] ?? one, rowCount)) return undefined
  return placed([...indices.dims.slice(0, -1), ...data.dims.slice(depth)], indices.rows)
}
