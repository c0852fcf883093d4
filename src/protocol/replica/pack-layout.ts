import { elementCount } from '../../tensors/batch/rows.js'
import { ARRAY_CLASSES, ELEMENT_TYPES } from '../../tensors/element-types.js'
import type { Signature, Tensor, TensorData, TensorType } from '../../tensors/tensor.js'
import { ALIGNMENT, type OwnElements, type RunShape, type RunTask } from './replica-task.js'

/** An output of that size for each row travels in the pack's buffer; a larger one in its own. */
export const INLINE_BYTES = 16 * 1_024

export function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT
}

/** A view of `count` elements in a pack's buffer; strings are not in there. */
export function viewOf(type: TensorType, buffer: ArrayBuffer, offset: number, count: number): TensorData {
  const View = ARRAY_CLASSES[type as Exclude<TensorType, 'string'>]
  return new View(buffer, offset, count)
}

/** Elements that came by themselves. */
export function elementsIn(type: TensorType, own: OwnElements, count: number): TensorData {
  return Array.isArray(own) ? own : viewOf(type, own, 0, count)
}

/** Returns the buffers of a pack, once each: its own, and those that callers have given away. */
export function buffersOf({ buffer, runs }: RunTask): ArrayBuffer[] {
  let buffers: Set<ArrayBuffer> | undefined
  for (const { given } of runs) {
    if (given === undefined) continue
    for (const own of given) {
      if (!(own instanceof ArrayBuffer)) continue
      buffers ??= new Set([buffer])
      buffers.add(own)
    }
  }
  return buffers === undefined ? [buffer] : [...buffers]
}

/** Where the next run of a pack begins. */
export interface PackCursor {
  offset: number
}

/** The inputs of the run at the cursor, in the signature's order, over the pack's buffer. */
export function readRun(
  { inputs }: Signature,
  { dims, given }: RunShape,
  buffer: ArrayBuffer,
  cursor: PackCursor,
): Tensor[] {
  return inputs.map(({ type }, index) => {
    const own = dims[index] as readonly number[]
    const elements = given?.[index]
    const count = elementCount(own)
    if (elements !== undefined) return { type, dims: own, data: elementsIn(type, elements, count) }
    const data = viewOf(type, buffer, cursor.offset, count)
    cursor.offset += aligned(count * ELEMENT_TYPES[type].bytesPerElement)
    return { type, dims: own, data }
  })
}
