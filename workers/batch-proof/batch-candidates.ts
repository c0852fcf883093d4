import { SHARED } from '../../src/tensors/batch/batch-plan.js'
import type { Signature, Tensor } from '../../src/tensors/tensor.js'

/** Maximum number of candidates. */
const MAX_CANDIDATES = 16

/**
 * Returns the ways in which inputs could be batched, likely ones first: for each input an axis or `SHARED`.
 * Each axis is declared free, and all batched inputs have the same size along their axis.
 */
export function batchCandidates({ inputs }: Signature, sample: readonly Tensor[]): number[][] {
  const candidates: number[][] = []
  const add = (axes: number[]): void => {
    if (axes.every((axis) => axis === SHARED)) return
    if (!candidates.some((other) => other.join() === axes.join())) candidates.push(axes)
  }
  const sizeOf = (input: number, axis: number): number => sample[input]?.dims[axis] as number
  const isOfOneSize = (axes: readonly number[]): boolean =>
    new Set(axes.flatMap((axis, input) => (axis === SHARED ? [] : [sizeOf(input, axis)]))).size === 1
  const freeAxes = inputs.map(({ dims }, input) =>
    [...dims.keys()].filter((axis) => typeof dims[axis] === 'string' && sizeOf(input, axis) > 0),
  )
  const names = new Set(
    inputs.flatMap(({ dims }) => dims.filter((dim) => typeof dim === 'string' && dim !== '')),
  )
  // A name that occurs in many inputs is more likely that of the batch.
  const named = [...names]
    .map((name) => inputs.map(({ dims }) => dims.indexOf(name)))
    .filter(isOfOneSize)
    .sort((a, b) => breadth(b) - breadth(a))
  const isSingle = (axes: number[]): boolean =>
    axes.every((axis, input) => axis === SHARED || sizeOf(input, axis) === 1)
  for (const axes of named.filter(isSingle)) add(axes)
  for (const axes of choices(
    freeAxes.map((axes, input) => axes.filter((axis) => sizeOf(input, axis) === 1)),
  )) {
    add(axes)
  }
  // Requests of several rows each: the first axis of all that have it free.
  const first = freeAxes.map((axes) => (axes.includes(0) ? 0 : SHARED))
  if (isOfOneSize(first)) add(first)
  for (const axes of named) add(axes)
  return candidates.slice(0, MAX_CANDIDATES)
}

/** Returns the combinations of one axis or none of each input, those with more axes first. */
function choices(axes: readonly (readonly number[])[]): number[][] {
  let combined: number[][] = [[]]
  for (const inputAxes of axes) {
    combined = combined
      .flatMap((before) => [...inputAxes, SHARED].map((axis) => [...before, axis]))
      .slice(0, 4 * MAX_CANDIDATES)
  }
  return combined.sort((a, b) => breadth(b) - breadth(a))
}

/** Returns the number of batched inputs. */
function breadth(axes: readonly number[]): number {
  return axes.filter((axis) => axis !== SHARED).length
}
