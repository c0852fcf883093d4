import { SHARED } from '../../src/tensors/batch/batch-plan.js'
import { float16Bits, float16Value } from '../../src/tensors/float16.js'
import type { Tensor, TensorData } from '../../src/tensors/tensor.js'

/** Factors that make rows differ: similar rows would not show that they change each other's outputs. */
const FACTORS = [1e-5, 0, 3, -1, 1e30, -1e30, 1e-30]
const FILLS = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]

/**
 * Returns requests made from a sample: with the numbers of all batched inputs scaled, or all replaced by NaN
 * or an infinity, or with a single NaN at either end, or with the elements in another order. Inputs whose
 * positions are in `fixed` are not changed. Some of the requests may be invalid for a model.
 */
export function perturbedSamples(
  sample: readonly Tensor[],
  axes: readonly number[],
  fixed: readonly (number | undefined)[] = [],
): Tensor[][] {
  const changed = (change: (tensor: Tensor) => Tensor): Tensor[] =>
    sample.map((tensor, index) => (axes[index] === SHARED || fixed.includes(index) ? tensor : change(tensor)))
  const numbers = [
    ...FACTORS.map((factor) => changed((tensor) => withNumbers(tensor, (value) => value * factor))),
    ...FILLS.map((fill) => changed((tensor) => withNumbers(tensor, () => fill))),
    ...[0, -1].map((at) =>
      changed((tensor) => {
        const last = tensor.data.length - 1
        return withNumbers(tensor, (value, index) => (index === (at === 0 ? 0 : last) ? Number.NaN : value))
      }),
    ),
  ]
  const turned = changed(turn)
  return [turned, ...numbers.filter((row) => row.some((tensor, index) => tensor !== sample[index]))]
}

/**
 * Returns a tensor with changed floats. Integers stay, since they are indices, counts and masks, seldom valid
 * if changed.
 */
function withNumbers(tensor: Tensor, change: (value: number, index: number) => number): Tensor {
  const { type, dims, data } = tensor
  switch (type) {
    case 'float32':
    case 'float64':
      return { type, dims, data: (data as Float32Array).map(change) } as Tensor
    case 'float16':
      return {
        type,
        dims,
        data: (data as Uint16Array).map((bits, index) => float16Bits(change(float16Value(bits), index))),
      }
    default:
      return tensor
  }
}

/** Returns a tensor whose elements are rotated by one. */
function turn({ type, dims, data }: Tensor): Tensor {
  const turned = data.slice() as unknown[] & TensorData
  const { length } = data
  for (let index = 0; index < length; index += 1) turned[index] = data[(index + 1) % length] as never
  return { type, dims, data: turned } as Tensor
}
