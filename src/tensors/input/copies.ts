import { copyElements } from '../batch/rows.js'
import { newElements } from '../coerce-elements.js'
import type { Tensor, TensorData } from '../tensor.js'
import { byteLengthOf, lengthOf } from '../typed-arrays.js'

/** For a string, whose size nobody knows, what its reference takes and a little more. */
const STRING_BYTES = 16

/** How many elements there are, whatever the class of the array says. */
export function countOf(data: TensorData): number {
  return ArrayBuffer.isView(data) ? lengthOf(data) : data.length
}

/** One with elements of its own. */
export function copyOf({ type, dims, data }: Tensor): Tensor {
  const count = countOf(data)
  const own = newElements(type, count)
  copyElements(own, 0, data, 0, count)
  return { type, dims, data: own }
}

/** What the elements of tensors take. */
export function bytesOf(tensors: readonly Tensor[]): number {
  return tensors.reduce(
    (sum, { data }) => sum + (ArrayBuffer.isView(data) ? byteLengthOf(data) : STRING_BYTES * data.length),
    0,
  )
}
