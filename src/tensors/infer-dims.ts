import type { Expectation, SignatureExpectation } from './expectation.js'
import type { Tensor } from './tensor.js'

/**
 * Dims of `count` elements that come without a shape: fixed dims as they are, free ones 1 except
 * the last free one, which takes what remains (one unbatched item, the common case of a bare
 * array). Undefined when the count does not divide.
 */
export function inferDims(expected: Expectation, count: number): readonly number[] | undefined {
  const { fixedCount, lastFree, singleDims } = expected
  if (lastFree === -1 || count === fixedCount) return count === fixedCount ? singleDims : undefined
  const rest = count / fixedCount
  // Division by a fixed dim of 0 gives Infinity, which is no integer either.
  if (!Number.isInteger(rest)) return undefined
  const dims = singleDims.slice()
  dims[lastFree] = rest
  return dims
}

/**
 * Second look at bare arrays with several free dims: a free dim whose name another input has takes
 * the size it has there, if the count allows; else the first inference stays. `unsure` lists
 * these inputs in the signature's order; each one settled may settle the next.
 */
export function settleByNames(
  signature: SignatureExpectation,
  tensors: readonly Tensor[],
  unsure: readonly Expectation[],
): void {
  const sizes: number[] = new Array(signature.slots).fill(-1)
  for (const [index, expected] of signature.inputs.entries()) {
    if (!unsure.includes(expected)) bindNames(expected, tensors[index] as Tensor, sizes)
  }
  for (const expected of unsure) {
    const tensor = tensors[signature.inputs.indexOf(expected)] as Tensor
    const dims = dimsWithSizes(expected, tensor.data.length, sizes)
    if (dims !== undefined) (tensor as { dims: readonly number[] }).dims = dims
    bindNames(expected, tensor, sizes)
  }
}

function bindNames({ nameSlots }: Expectation, { dims }: Tensor, sizes: number[]): void {
  for (let axis = 0; axis < nameSlots.length; axis++) {
    const slot = nameSlots[axis] as number
    // The first input that has the name decides; ORT does not insist that all agree.
    if (slot !== -1 && sizes[slot] === -1) sizes[slot] = dims[axis] ?? 1
  }
}

function dimsWithSizes(expected: Expectation, count: number, sizes: readonly number[]): number[] | undefined {
  const dims = expected.singleDims.slice()
  let known = expected.fixedCount
  let lastUnknown = -1
  for (let axis = 0; axis < dims.length; axis++) {
    if (typeof expected.dims[axis] === 'number') continue
    const size = sizes[expected.nameSlots[axis] as number] ?? -1
    if (size === -1) {
      lastUnknown = axis
    } else {
      dims[axis] = size
      known *= size
    }
  }
  if (known === count) return dims
  const rest = count / known
  if (lastUnknown === -1 || !Number.isInteger(rest)) return undefined
  dims[lastUnknown] = rest
  return dims
}
