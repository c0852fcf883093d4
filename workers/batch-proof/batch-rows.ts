import { SHARED } from '../../src/tensors/batch/batch-plan.js'
import { elementCount, joinRows, rowLayout, takeRows, withRows } from '../../src/tensors/batch/rows.js'
import { newElements } from '../../src/tensors/coerce-elements.js'
import type { Tensor } from '../../src/tensors/tensor.js'

/** Returns `rows` rows of every tensor from row `at` on; shared tensors are returned whole. */
export function takeAll(
  tensors: readonly Tensor[],
  axes: readonly number[],
  at: number,
  rows: number,
): Tensor[] {
  return tensors.map(({ type, dims, data }, index): Tensor => {
    const axis = axes[index] as number
    if (axis === SHARED) return { type, dims, data }
    return {
      type,
      dims: withRows(dims, axis, rows),
      data: takeRows(type, data, rowLayout(dims, axis), at, rows),
    }
  })
}

/** Returns the tensors of each request of a batch. */
export function split(
  tensors: readonly Tensor[],
  axes: readonly number[],
  rows: readonly number[],
): Tensor[][] {
  let at = 0
  return rows.map((count) => {
    const taken = takeAll(tensors, axes, at, count)
    at += count
    return taken
  })
}

/** Joins the tensors of requests along the axes. */
export function join(requests: readonly (readonly Tensor[])[], axes: readonly number[]): Tensor[] {
  const [first] = requests as [readonly Tensor[]]
  return first.map(({ type, dims, data }, index): Tensor => {
    const axis = axes[index] as number
    if (axis === SHARED) return { type, dims, data }
    const parts = requests.map((request) => request[index] as Tensor)
    const total = parts.reduce((sum, tensor) => sum + (tensor.dims[axis] as number), 0)
    const joined = withRows(dims, axis, total)
    const target = newElements(type, elementCount(joined))
    joinRows(target, joined, parts, axis)
    return { type, dims: joined, data: target }
  })
}
