import { copyElements } from '../batch/rows.js'
import { newElements } from '../coerce-elements.js'
import type { Tensor, TensorData } from '../tensor.js'
import { byteLengthOf, lengthOf } from '../typed-arrays.js'

/** Estimated size of a string, which cannot be measured: its reference and a little more. */
const STRING_BYTES = 16

/** Returns the number of elements, whatever `length` a subclass reports. */
export function countOf(data: TensorData): number {
  return ArrayBuffer.isView(data) ? lengthOf(data) : data.length
}

/** Returns a tensor with a copy of the elements. */
export function copyOf({ type, dims, data }: Tensor): Tensor {
  const count = countOf(data)
  const copy = newElements(type, count)
  copyElements(copy, 0, data, 0, count)
  return { type, dims, data: copy }
}

/** Returns the size of the tensors' elements in bytes. */
export function bytesOf(tensors: readonly Tensor[]): number {
  return tensors.reduce(
    (sum, { data }) => sum + (ArrayBuffer.isView(data) ? byteLengthOf(data) : STRING_BYTES * data.length),
    0,
  )
}
