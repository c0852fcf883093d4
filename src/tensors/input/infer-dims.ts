import { describeValue } from '../describe.js'
import type { Tensor } from '../tensor.js'
import { countOf } from './copies.js'
import { type Expectation, mismatch, type SignatureExpectation } from './expectation.js'

/**
 * Returns the dims of `count` elements without a shape: fixed dims are kept, free ones are 1 except the last
 * free one, which takes the remaining factor (one unbatched item, the common case of a bare array). Returns
 * undefined if the count does not divide.
 */
export function inferDims(expected: Expectation, count: number): readonly number[] | undefined {
  const { fixedCount, lastFree, singleDims } = expected
  if (lastFree === -1 || count === fixedCount) return count === fixedCount ? singleDims : undefined
  const rest = count / fixedCount
  // A division by a fixed dim of 0 gives Infinity, which is not an integer either.
  if (!Number.isInteger(rest)) return undefined
  const dims = singleDims.slice()
  dims[lastFree] = rest
  return dims
}

/**
 * Throws if a bare array fits several shapes: more than one of the free axes besides the batch is still open,
 * and they hold more than one element.
 * @throws InputProblem
 */
export function refuseAmbiguous(expected: Expectation, data: Tensor['data'], axes: readonly number[]): void {
  if (axes.length < 2) return
  throw mismatch(
    expected,
    describeValue(data),
    `the sizes of axes ${axes.slice(0, -1).join(', ')} and ${axes.at(-1)} do not follow from the length; pass { type, dims, data }`,
  )
}

/**
 * Infers the dims of bare arrays with several free dims again: a free dim whose name another input has takes
 * the size that it has there, if the count allows; otherwise the first inference stays. `unsure` lists these
 * inputs in the signature's order; each inferred size may determine the next.
 * @throws InputProblem if an array still fits several shapes.
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
    const isOpen = (axis: number): boolean => (sizes[expected.nameSlots[axis] as number] ?? -1) === -1
    const dims = dimsWithSizes(expected, countOf(tensor.data), sizes)
    if (dims !== undefined) (tensor as { dims: readonly number[] }).dims = dims
    const open = dims === undefined ? expected.openAxes : expected.openAxes.filter(isOpen)
    if (open.some((axis) => tensor.dims[axis] !== 1)) refuseAmbiguous(expected, tensor.data, open)
    bindNames(expected, tensor, sizes)
  }
}

function bindNames({ nameSlots }: Expectation, { dims }: Tensor, sizes: number[]): void {
  for (let axis = 0; axis < nameSlots.length; axis += 1) {
    const slot = nameSlots[axis] as number
    // The first input with the name decides; onnxruntime does not require that all agree.
    if (slot !== -1 && sizes[slot] === -1) sizes[slot] = dims[axis] ?? 1
  }
}

function dimsWithSizes(expected: Expectation, count: number, sizes: readonly number[]): number[] | undefined {
  const dims = expected.singleDims.slice()
  let knownCount = expected.fixedCount
  let lastUnknown = -1
  for (let axis = 0; axis < dims.length; axis += 1) {
    if (typeof expected.dims[axis] === 'number') continue
    const size = sizes[expected.nameSlots[axis] as number] ?? -1
    if (size === -1) {
      lastUnknown = axis
    } else {
      dims[axis] = size
      knownCount *= size
    }
  }
  if (knownCount === count) return dims
  const rest = count / knownCount
  if (lastUnknown === -1 || !Number.isInteger(rest)) return undefined
  dims[lastUnknown] = rest
  return dims
}
