import { elementCount } from '../../tensors/batch/rows.js'
import { ARRAY_CLASSES, ELEMENT_TYPES } from '../../tensors/element-types.js'
import type { Signature, Tensor, TensorData, TensorType } from '../../tensors/tensor.js'
import { ALIGNMENT, type OwnElements, type RunShape, type RunTask } from './replica-task.js'

/** Maximum size per row of an output that is returned in the pack's buffer; a larger one has a buffer of its own. */
export const INLINE_BYTES = 16 * 1_024

export function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT
}

/** Returns a view of `count` elements of a pack's buffer. Strings are not in the buffer. */
export function viewOf(type: TensorType, buffer: ArrayBuffer, offset: number, count: number): TensorData {
  const View = ARRAY_CLASSES[type as Exclude<TensorType, 'string'>]
  return new View(buffer, offset, count)
}

/** Returns elements that were sent outside of the pack's buffer. */
export function elementsIn(type: TensorType, elements: OwnElements, count: number): TensorData {
  return Array.isArray(elements) ? elements : viewOf(type, elements, 0, count)
}

/** Returns the distinct buffers of a pack: its own, and those that callers have transferred. */
export function buffersOf({ buffer, runs }: RunTask): ArrayBuffer[] {
  let buffers: Set<ArrayBuffer> | undefined
  for (const { separate } of runs) {
    if (separate === undefined) continue
    for (const elements of separate) {
      if (!(elements instanceof ArrayBuffer)) continue
      buffers ??= new Set([buffer])
      buffers.add(elements)
    }
  }
  return buffers === undefined ? [buffer] : [...buffers]
}

/** The position in a pack's buffer at which the next run begins. */
export interface PackCursor {
  offset: number
}

/**
 * Returns the inputs of the run at the cursor, in the signature's order, as views of the pack's buffer. Moves the
 * cursor behind them.
 */
export function readRun(
  { inputs }: Signature,
  { dims, separate }: RunShape,
  buffer: ArrayBuffer,
  cursor: PackCursor,
): Tensor[] {
  return inputs.map(({ type }, index) => {
    const inputDims = dims[index] as readonly number[]
    const elements = separate?.[index]
    const count = elementCount(inputDims)
    if (elements !== undefined) return { type, dims: inputDims, data: elementsIn(type, elements, count) }
    const data = viewOf(type, buffer, cursor.offset, count)
    cursor.offset += aligned(count * ELEMENT_TYPES[type].bytesPerElement)
    return { type, dims: inputDims, data }
  })
}
