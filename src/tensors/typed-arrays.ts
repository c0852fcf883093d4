import { ARRAY_CLASSES, type ElementType } from './element-types.js'
import type { TensorData, TensorType } from './tensor.js'

type Elements = Exclude<TensorData, string[]>

/**
 * A typed array of any class. It may belong to a class of the caller, whose constructor, methods and getters
 * can do anything; the functions of this file read its internal slots instead.
 */
export type AnyTypedArray = NodeJS.TypedArray | Elements

const prototype: object = Object.getPrototypeOf(Uint8Array.prototype)
const getTag = getterOf<string | undefined>(Symbol.toStringTag)
const getLength = getterOf<number>('length')
const getBytes = getterOf<number>('byteLength')
const getBuffer = getterOf<ArrayBufferLike>('buffer')
const getOffset = getterOf<number>('byteOffset')
const { keys, set } = prototype as Pick<Uint8Array, 'keys' | 'set'>

const classes: ReadonlyMap<string, (typeof ARRAY_CLASSES)[keyof typeof ARRAY_CLASSES]> = new Map(
  Object.values(ARRAY_CLASSES).map((ArrayClass) => [ArrayClass.name, ArrayClass]),
)

function getterOf<T>(key: PropertyKey): (this: unknown) => T {
  return Object.getOwnPropertyDescriptor(prototype, key)?.get as (this: unknown) => T
}

/** Returns the number of elements; 0 once the buffer is detached. */
export function lengthOf(array: AnyTypedArray): number {
  return getLength.call(array)
}

export function byteLengthOf(array: AnyTypedArray): number {
  return getBytes.call(array)
}

export function bufferOf(array: AnyTypedArray): ArrayBufferLike {
  return getBuffer.call(array)
}

/** Copies all elements of `source` to `target` from `offset` on. */
export function setElements(target: TensorData, source: AnyTypedArray, offset: number): void {
  set.call(target as Uint8Array, source as Uint8Array, offset)
}

/** Returns a view of `count` elements from `from` on; the view has the built-in class. */
export function viewOver(array: AnyTypedArray, from: number, count: number): Elements {
  const View = classes.get(getTag.call(array) as string) as typeof Uint8Array
  return new View(getBuffer.call(array), getOffset.call(array) + from * View.BYTES_PER_ELEMENT, count)
}

/**
 * Returns the name of a typed array's class, such as 'Float32Array'; undefined for any other value. It is
 * read from the internal slot instead of by `instanceof`: typed arrays of other realms (vm contexts, test
 * runners) count, forgeries do not.
 */
export function typedArrayName(value: unknown): string | undefined {
  return getTag.call(value)
}

/**
 * Returns the elements of a typed array in the class that holds `type`: the array itself, or a view of the
 * same memory if only the class differs (native Float16Array, Uint8ClampedArray). Returns undefined if values
 * would have to be converted.
 */
export function asElements(
  type: TensorType,
  element: ElementType,
  name: string,
  array: AnyTypedArray,
): AnyTypedArray | undefined {
  if (name === element.arrayName) return array
  if (name === 'Float16Array' && type === 'float16') {
    return isUsable(array) ? seenAs(Uint16Array, array) : array
  }
  if (name === 'Uint8ClampedArray' && type === 'uint8') {
    return isUsable(array) ? seenAs(Uint8Array, array) : array
  }
  return undefined
}

function seenAs(View: typeof Uint8Array | typeof Uint16Array, array: AnyTypedArray): AnyTypedArray {
  return new View(getBuffer.call(array) as ArrayBuffer, getOffset.call(array), getLength.call(array))
}

/**
 * Returns false once the buffer was transferred, or shrunk so that the view lies outside it. The length is 0
 * in both cases, as it is for an empty array; `keys` validates the view and does nothing else
 * (`buffer.detached` is missing on Node 20).
 */
export function isUsable(array: AnyTypedArray): boolean {
  if (lengthOf(array) > 0) return true
  try {
    keys.call(array as Uint8Array)
    return true
  } catch {
    return false
  }
}
