import { newElements } from '../coerce-elements.js'
import type { Tensor } from '../tensor.js'
import { SHARED } from './batch-plan.js'
import { copyBlock, elementCount, withRows } from './rows.js'

/** The smallest padded length. */
const SHORTEST = 8

/**
 * Returns the padded length of a request: a power of two, so that less than half of it is padding, but at
 * least SHORTEST.
 */
export function paddedLength(length: number): number {
  return Math.max(SHORTEST, 2 ** Math.ceil(Math.log2(length)))
}

/**
 * Returns a copy of a tensor with another length along the axis, padded with zeros or empty strings, or cut.
 * Returns the tensor itself if it has the length already.
 */
export function resized(tensor: Tensor, axis: number, length: number): Tensor {
  const { type, dims, data } = tensor
  if (axis === SHARED || dims[axis] === length) return tensor
  const resizedDims = withRows(dims, axis, length)
  const target = newElements(type, elementCount(resizedDims))
  const common = withRows(dims, axis, Math.min(length, dims[axis] as number))
  copyBlock(target, resizedDims, 0, data, dims, 0, common)
  return { type, dims: resizedDims, data: target } as Tensor
}
