import { newElements } from '../coerce-elements.js'
import type { Tensor } from '../tensor.js'
import { SHARED } from './batch-plan.js'
import { copyBlock, elementCount, withRows } from './rows.js'

/** Shorter requests are filled up to this. */
const SHORTEST = 8

/** The length up to which a request is filled: a power of two, so that at most half of it is filling. */
export function paddedLength(length: number): number {
  return Math.max(SHORTEST, 2 ** Math.ceil(Math.log2(length)))
}

/** The tensor with another length along the axis: filled up with zeros or empty strings, or cut; in memory of its own. */
export function resized(tensor: Tensor, axis: number, length: number): Tensor {
  const { type, dims, data } = tensor
  if (axis === SHARED || dims[axis] === length) return tensor
  const own = withRows(dims, axis, length)
  const target = newElements(type, elementCount(own))
  const common = withRows(dims, axis, Math.min(length, dims[axis] as number))
  copyBlock(target, own, 0, data, dims, 0, common)
  return { type, dims: own, data: target } as Tensor
}
