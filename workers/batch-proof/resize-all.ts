import { resized } from '../../src/tensors/batch/padding.js'
import type { Tensor } from '../../src/tensors/tensor.js'

/** Returns tensors with another length along their axes; the same tensors if `axes` or `length` is undefined. */
export function resizeAll(
  tensors: readonly Tensor[],
  axes: readonly number[] | undefined,
  length: number | undefined,
): readonly Tensor[] {
  if (axes === undefined || length === undefined) return tensors
  return tensors.map((tensor, index) => resized(tensor, axes[index] as number, length))
}
