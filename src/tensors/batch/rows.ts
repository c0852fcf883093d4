import { newElements } from '../coerce-elements.js'
import { ELEMENT_TYPES } from '../element-types.js'
import type { Tensor, TensorData, TensorType } from '../tensor.js'
import { lengthOf, setElements, viewOver } from '../typed-arrays.js'
import { SHARED } from './batch-plan.js'

/** Largest number of elements that are copied in a loop, since a view of them would cost more. */
const LOOP_ELEMENTS = 32

/** The layout of a tensor as rows along one axis: `outer` blocks of `rows` rows of `inner` elements each. */
export interface RowLayout {
  readonly outer: number
  readonly rows: number
  readonly inner: number
}

export function rowLayout(dims: readonly number[], axis: number): RowLayout {
  let outer = 1
  let inner = 1
  for (let index = 0; index < axis; index += 1) outer *= dims[index] as number
  for (let index = axis + 1; index < dims.length; index += 1) inner *= dims[index] as number
  return { outer, rows: dims[axis] as number, inner }
}

export function elementCount(dims: readonly number[]): number {
  let count = 1
  for (const dim of dims) count *= dim
  return count
}

/** Returns the size of all tensors along their axes, except shared ones; undefined if it is 0 or if they differ. */
export function commonSize(tensors: readonly Tensor[], axes: readonly number[]): number | undefined {
  let size: number | undefined
  for (let index = 0; index < tensors.length; index += 1) {
    const axis = axes[index] as number
    if (axis === SHARED) continue
    const rows = tensors[index]?.dims[axis]
    if (rows === undefined || rows === 0 || (size !== undefined && rows !== size)) return undefined
    size = rows
  }
  return size
}

/** Returns a copy of `dims` with another size along `axis`. */
export function withRows(dims: readonly number[], axis: number, rows: number): number[] {
  const sized = dims.slice()
  sized[axis] = rows
  return sized
}

/** Copies the rows of `source` into a batch of `total` rows, from row `at` on. */
export function putRows(
  target: TensorData,
  total: number,
  at: number,
  source: TensorData,
  { outer, rows, inner }: RowLayout,
): void {
  const chunk = rows * inner
  for (let block = 0; block < outer; block += 1) {
    copyElements(target, (block * total + at) * inner, source, block * chunk, chunk)
  }
}

/**
 * Copies tensors one after another along `axis` of a batch with these `dims`. Tensors that are shorter along
 * another axis are padded with zeros or empty strings.
 */
export function joinRows(
  target: TensorData,
  dims: readonly number[],
  tensors: readonly Tensor[],
  axis: number,
): void {
  const total = dims[axis] as number
  const step = elementCount(dims.slice(axis + 1))
  const isWhole = (tensorDims: readonly number[]): boolean =>
    tensorDims.every((dim, at) => at === axis || dim === dims[at])
  // A recycled buffer still has its previous content.
  if (!tensors.every((tensor) => isWhole(tensor.dims))) clear(target, (tensors[0] as Tensor).type)
  let at = 0
  for (const { data, dims: tensorDims } of tensors) {
    if (isWhole(tensorDims)) putRows(target, total, at, data, rowLayout(tensorDims, axis))
    else copyBlock(target, dims, at * step, data, tensorDims, 0, tensorDims)
    at += tensorDims[axis] as number
  }
}

function clear(target: TensorData, type: TensorType): void {
  const elements = target as { fill(value: unknown): unknown }
  elements.fill(ELEMENT_TYPES[type].zero)
}

/** Returns a copy of `rows` rows from row `at` on. */
export function takeRows(
  type: TensorType,
  source: TensorData,
  { outer, rows: total, inner }: RowLayout,
  at: number,
  rows: number,
): TensorData {
  const chunk = rows * inner
  if (outer === 1 && chunk > LOOP_ELEMENTS) return source.slice(at * inner, at * inner + chunk)
  const taken = newElements(type, outer * chunk)
  for (let block = 0; block < outer; block += 1) {
    copyElements(taken, block * chunk, source, (block * total + at) * inner, chunk)
  }
  return taken
}

/**
 * Copies a block of `size` from one tensor to another with as many axes. The block begins `sourceAt` elements
 * after the beginning of the source, and `targetAt` elements after that of the target.
 */
export function copyBlock(
  target: TensorData,
  targetDims: readonly number[],
  targetAt: number,
  source: TensorData,
  sourceDims: readonly number[],
  sourceAt: number,
  size: readonly number[],
  axis = 0,
): void {
  const count = size[axis] as number
  if (axis === size.length - 1) {
    copyElements(target, targetAt, source, sourceAt, count)
    return
  }
  const targetStep = elementCount(targetDims.slice(axis + 1))
  const sourceStep = elementCount(sourceDims.slice(axis + 1))
  for (let index = 0; index < count; index += 1) {
    const [to, from] = [targetAt + index * targetStep, sourceAt + index * sourceStep]
    copyBlock(target, targetDims, to, source, sourceDims, from, size, axis + 1)
  }
}

export function copyElements(
  target: TensorData,
  targetAt: number,
  source: TensorData,
  sourceAt: number,
  count: number,
): void {
  if (count <= LOOP_ELEMENTS || Array.isArray(source)) {
    const elements = target as unknown[]
    for (let index = 0; index < count; index += 1) elements[targetAt + index] = source[sourceAt + index]
    return
  }
  const isWhole = sourceAt === 0 && count === lengthOf(source)
  setElements(target, isWhole ? source : viewOver(source, sourceAt, count), targetAt)
}
