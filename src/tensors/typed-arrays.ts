import type { ElementType } from './element-types.js'
import type { TensorType } from './tensor.js'

/** What every typed array has, whatever its class. */
export interface AnyTypedArray {
  readonly length: number
  readonly buffer: ArrayBufferLike
  readonly byteOffset: number
  keys(): Iterator<number>
}

const typedArrayPrototype = Object.getPrototypeOf(Uint8Array.prototype) as AnyTypedArray
const tag = Object.getOwnPropertyDescriptor(typedArrayPrototype, Symbol.toStringTag) as {
  get(this: unknown): string | undefined
}
const getTag = tag.get

/**
 * 'Float32Array' and so on, undefined for anything else. Read from the internal slot rather than
 * by `instanceof`: typed arrays of other realms (vm contexts, test runners) count, forgeries do not.
 */
export function typedArrayName(value: unknown): string | undefined {
  return getTag.call(value)
}

/**
 * The elements of a typed array in the class `type` is held in: itself, a view of the same memory
 * where only the class differs (native Float16Array, Uint8ClampedArray), undefined where a
 * conversion of values would be needed.
 */
export function asElements(
  type: TensorType,
  element: ElementType,
  name: string,
  array: AnyTypedArray,
): AnyTypedArray | undefined {
  if (name === element.arrayName) return array
  if (name === 'Float16Array' && type === 'float16') {
    return isUsable(array) ? new Uint16Array(array.buffer, array.byteOffset, array.length) : array
  }
  if (name === 'Uint8ClampedArray' && type === 'uint8') {
    return isUsable(array) ? new Uint8Array(array.buffer, array.byteOffset, array.length) : array
  }
  return undefined
}

/**
 * False once the buffer was transferred, or shrunk so that the view lies outside it. Both read as
 * length 0, which an honest empty array does too; `keys` validates the view and does nothing else
 * (`buffer.detached` is missing on Node 20).
 */
export function isUsable(array: AnyTypedArray): boolean {
  if (array.length > 0) return true
  try {
    typedArrayPrototype.keys.call(array)
    return true
  } catch {
    return false
  }
}
