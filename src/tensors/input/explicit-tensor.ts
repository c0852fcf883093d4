import { elementProblem, isWholeString } from '../coerce-elements.js'
import { describeDims, describeValue } from '../describe.js'
import type { Tensor, TensorData } from '../tensor.js'
import { type AnyTypedArray, asElements, lengthOf, typedArrayName } from '../typed-arrays.js'
import { holderOf, refuseUnusable, wrongClass } from './array-problems.js'
import { type Expectation, mismatch } from './expectation.js'

/** A tensor of ours, or onnxruntime's, whose `data` is a getter that throws if the data is not on the CPU. */
interface TensorLike {
  readonly type?: unknown
  readonly dims?: unknown
  readonly location?: unknown
  readonly data?: unknown
}

/** Returns a new tensor from a value that has its shape; typed arrays in it are not copied. */
export function fromExplicitTensor(expected: Expectation, value: object): Tensor {
  const { type, dims, location } = value as TensorLike
  if (type === undefined || !Array.isArray(dims)) {
    const accepted =
      'a tensor { type, dims, data }, a typed array, nested arrays or a single value is accepted'
    throw mismatch(expected, describeValue(value), accepted + wrapAdvice(expected, value))
  }
  if (location !== undefined && location !== 'cpu') {
    throw mismatch(expected, `a tensor located at ${describeValue(location)}`, 'its data must be on the CPU')
  }
  if (type !== expected.type) {
    throw mismatch(expected, typeof type === 'string' ? describeValue(value) : `type ${describeValue(type)}`)
  }
  const copiedDims = dimsOf(expected, dims)
  const count = countOf(expected, copiedDims)
  return { type: expected.type, dims: copiedDims, data: dataOf(expected, copiedDims, count, value) }
}

function wrapAdvice(expected: Expectation, value: object): string {
  return value instanceof ArrayBuffer && expected.type !== 'string'
    ? `: wrap it, e.g. new ${expected.element.arrayName}(buffer)`
    : ''
}

/** Copies dims element by element, each read once: the caller's array may have methods of its own. */
function dimsOf(expected: Expectation, dims: readonly unknown[]): number[] {
  const rank = dims.length
  const copied: number[] = []
  for (let axis = 0; axis < rank; axis += 1) {
    const dim = dims[axis]
    copied.push(dim as number)
    if (Number.isSafeInteger(dim) && (dim as number) >= 0) continue
    throw mismatch(expected, `dims ${describeDims(copied)}`, 'dims must be integers of 0 or more')
  }
  return copied
}

function countOf(expected: Expectation, dims: readonly number[]): number {
  let count = 1
  let doesFit = dims.length === expected.dims.length
  for (let axis = 0; axis < dims.length; axis += 1) {
    const dim = dims[axis] as number
    count *= dim
    const fixed = expected.dims[axis]
    if (typeof fixed === 'number' && fixed !== dim) doesFit = false
  }
  // onnxruntime reports an unknown rank like a scalar, so it has to check the shape itself in that case.
  if (doesFit || expected.dims.length === 0) return count
  throw mismatch(expected, `tensor ${expected.type}${describeDims(dims)}`)
}

function dataOf(
  expected: Expectation,
  dims: readonly number[],
  count: number,
  value: TensorLike,
): TensorData {
  const { data } = value
  const name = typedArrayName(data)
  if (expected.type === 'string' ? !Array.isArray(data) : name === undefined) {
    throw mismatch(expected, `data that is ${describeValue(data)}`, `it must be ${holderOf(expected)}`)
  }
  if (name === undefined) return strings(expected, dims, count, data as readonly unknown[])
  const elements = asElements(expected.type, expected.element, name, data as AnyTypedArray)
  if (elements === undefined) throw wrongClass(expected, data)
  const length = lengthOf(elements)
  if (length === 0) refuseUnusable(expected, elements)
  if (length !== count) throw wrongCount(expected, dims, count, length)
  return elements as TensorData
}

function strings(
  expected: Expectation,
  dims: readonly number[],
  count: number,
  data: readonly unknown[],
): string[] {
  const { length } = data
  if (length !== count) throw wrongCount(expected, dims, count, length)
  // The strings are copied, since the caller's array may be a proxy, which cannot be sent.
  const copied: string[] = []
  for (let index = 0; index < count; index += 1) {
    const element = data[index]
    if (!isWholeString(element)) {
      const [got, advice] = elementProblem(expected.element, element)
      throw mismatch(expected, `${got} at data[${index}]`, advice)
    }
    copied.push(element)
  }
  return copied
}

function wrongCount(expected: Expectation, dims: readonly number[], count: number, length: number) {
  return mismatch(expected, `dims ${describeDims(dims)} (${count} elements) with ${length} elements of data`)
}
