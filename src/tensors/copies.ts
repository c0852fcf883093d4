import type { Tensor } from './tensor.js'

/** For a string, whose size nobody knows, what its reference takes and a little more. */
const STRING_BYTES = 16

/** One with elements of its own. */
export function copyOf({ type, dims, data }: Tensor): Tensor {
  return { type, dims, data: data.slice() }
}

/** What the elements of tensors take. */
export function bytesOf(tensors: readonly Tensor[]): number {
  return tensors.reduce(
    (sum, { data }) => sum + (ArrayBuffer.isView(data) ? data.byteLength : STRING_BYTES * data.length),
    0,
  )
}
