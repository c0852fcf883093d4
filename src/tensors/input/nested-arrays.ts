import { elementProblem, newElements, writeElements } from '../coerce-elements.js'
import { describeValue, formatDims } from '../describe.js'
import type { Tensor, TensorData } from '../tensor.js'
import { type AnyTypedArray, asElements, lengthOf, setElements, typedArrayName } from '../typed-arrays.js'
import { refuseUnusable, wrongClass } from './array-problems.js'
import { type Expectation, mismatch } from './expectation.js'

type Path = readonly number[]

/** Returns a tensor from nested arrays of JavaScript values, whose innermost rows may be typed arrays. */
export function fromNestedArrays(expected: Expectation, value: readonly unknown[]): Tensor {
  const dims = shapeOf(expected, value)
  const count = dims.reduce((product, dim) => product * dim, 1)
  const data = newElements(expected.type, count)
  fill({ expected, dims, data, offset: 0 }, value, [])
  return { type: expected.type, dims, data }
}

/** Returns a tensor of one element, whose dims are all 1 or empty. */
export function fromScalar(expected: Expectation, value: unknown): Tensor {
  if (expected.fixedCount !== 1) throw mismatch(expected, describeValue(value), 'one value does not fill it')
  const data = newElements(expected.type, 1)
  if (writeElements(expected.element, [value], 1, data, 0) !== -1) {
    throw mismatch(expected, ...elementProblem(expected.element, value))
  }
  return { type: expected.type, dims: expected.singleDims, data }
}

/** Returns the shape by the first element of each level; `fill` checks that the others agree. */
function shapeOf(expected: Expectation, value: readonly unknown[]): number[] {
  const rank = expected.dims.length
  const dims: number[] = []
  let level: unknown = value
  while (isRow(expected, level) && dims.length <= rank) {
    const length = rowLength(expected, level)
    dims.push(length)
    // Below an empty array there is nothing to measure, so the dims of the spec hold, with 0 for free ones.
    while (length === 0 && dims.length < rank) {
      const dim = expected.dims[dims.length]
      dims.push(typeof dim === 'number' ? dim : 0)
    }
    level = level[0]
  }
  if (dims.length !== rank) {
    if (rank === 0) throw mismatch(expected, 'an array', 'one value is expected, not in an array')
    const depth = dims.length > rank ? `more than ${rank}` : dims.length
    const advice = 'flat data is passed as a typed array or as { type, dims, data }'
    throw mismatch(expected, `arrays nested ${depth} deep instead of ${rank}`, advice)
  }
  if (expected.dims.some((dim, axis) => typeof dim === 'number' && dim !== dims[axis])) {
    throw mismatch(expected, `nested arrays of ${formatDims(dims)}`)
  }
  return dims
}

interface Filling {
  readonly expected: Expectation
  readonly dims: readonly number[]
  readonly data: TensorData
  offset: number
}

function fill(filling: Filling, row: unknown, path: Path): void {
  const { expected, dims } = filling
  const axis = path.length
  const length = dims[axis] as number
  const actualLength = isRow(expected, row) ? rowLength(expected, row) : undefined
  if (!isRow(expected, row) || actualLength !== length) {
    const got = actualLength === undefined ? describeValue(row) : `${actualLength} elements`
    const advice = `nested arrays must be regular, ${length} elements are expected there`
    throw mismatch(expected, `${got} at ${formatPath(path)}`, advice)
  }
  if (axis < dims.length - 1) {
    for (let index = 0; index < length; index += 1) fill(filling, row[index], [...path, index])
  } else if (Array.isArray(row)) {
    fillFromValues(filling, row, length, path)
  } else {
    fillFromTypedArray(filling, row as unknown as AnyTypedArray, path)
  }
}

function fillFromValues(filling: Filling, row: readonly unknown[], count: number, path: Path): void {
  const { expected, data, offset } = filling
  const wrong = writeElements(expected.element, row, count, data, offset)
  if (wrong !== -1) {
    const [got, advice] = elementProblem(expected.element, row[wrong])
    throw mismatch(expected, `${got} at ${formatPath([...path, wrong])}`, advice)
  }
  filling.offset += count
}

function fillFromTypedArray(filling: Filling, row: AnyTypedArray, path: Path): void {
  const { expected, data, offset } = filling
  const name = typedArrayName(row) as string
  const elements = asElements(expected.type, expected.element, name, row)
  if (elements === undefined) throw wrongClass(expected, row, ` at ${formatPath(path)}`)
  setElements(data, elements, offset)
  filling.offset += lengthOf(elements)
}

type Row = ArrayLike<unknown>

/** Returns the number of elements; checks it, since the `length` of a proxy can be any value, and changes at will. */
function rowLength(expected: Expectation, row: Row): number {
  if (!Array.isArray(row)) return lengthOf(row as unknown as AnyTypedArray)
  const { length } = row
  if (Number.isSafeInteger(length) && length >= 0) return length
  throw mismatch(expected, `an array whose length is ${describeValue(length)}`)
}

function isRow(expected: Expectation, value: unknown): value is Row {
  if (Array.isArray(value)) return true
  if (typedArrayName(value) === undefined) return false
  // A row whose buffer is gone would read as an empty one.
  refuseUnusable(expected, value as AnyTypedArray)
  return true
}

function formatPath(path: Path): string {
  return path.length === 0 ? 'the outermost array' : path.map((index) => `[${index}]`).join('')
}
