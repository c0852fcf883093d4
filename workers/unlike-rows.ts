import { SHARED } from '../src/tensors/batch-plan.js'
import { float16Bits, float16Value } from '../src/tensors/float16.js'
import type { Tensor, TensorData } from '../src/tensors/tensor.js'

/** Rows that are alike, or differ by little, do not show that they change each other's answers. */
const FACTORS = [1e-5, 0, 3, -1]

/**
 * Requests made from a sample: numbers scaled in all batched inputs at once, and all elements of a
 * request in another order. Not every one of them is valid for every model.
 */
export function unlikeRows(sample: readonly Tensor[], axes: readonly number[]): Tensor[][] {
  const isBatched = (index: number): boolean => axes[index] !== SHARED
  const scaled = FACTORS.map((factor) =>
    sample.map((tensor, index) => (isBatched(index) ? scale(tensor, factor) : tensor)),
  )
  const turned = sample.map((tensor, index) => (isBatched(index) ? turn(tensor) : tensor))
  return [...scaled.filter((row) => row.some((tensor, index) => tensor !== sample[index])), turned]
}

function scale(tensor: Tensor, factor: number): Tensor {
  const { type, dims, data } = tensor
  switch (type) {
    case 'float32':
    case 'float64':
      return { type, dims, data: (data as Float32Array).map((value) => value * factor) } as Tensor
    case 'float16':
      return {
        type,
        dims,
        data: (data as Uint16Array).map((bits) => float16Bits(float16Value(bits) * factor)),
      }
    default:
      // Integers are indices, counts and masks: scaled ones are seldom valid.
      return tensor
  }
}

/** The same elements, begun at the second. */
function turn({ type, dims, data }: Tensor): Tensor {
  const turned = data.slice() as unknown[] & TensorData
  const { length } = data
  for (let index = 0; index < length; index += 1) turned[index] = data[(index + 1) % length] as never
  return { type, dims, data: turned } as Tensor
}
