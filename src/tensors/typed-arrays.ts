import { ARRAY_CLASSES, type ElementType } from './element-types.js'
import type { TensorData, TensorType } from './tensor.js'

type Elements = Exclude<TensorData, string[]>

/**
 * A typed array of whatever class. The caller's may belong to a class of the caller's own, whose
 * constructor, methods and getters do what they like: what is asked of it goes through the functions
 * of this file, which read the internal slots.
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
  Object.values(ARRAY_CLASSES).map((own) => [own.name, own]),
)

function getterOf<T>(key: PropertyKey): (this: unknown) => T {
  return Object.getOwnPropertyDescriptor(prototype, key)?.get as (this: unknown) => T
}

/** How many elements it has; 0 once its buffer is gone. */
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

/** A view of `count` of its elements from `from` on, of the plain class. */
export function viewOver(array: AnyTypedArray, from: number, count: number): Elements {
  const View = classes.get(getTag.call(array) as string) as typeof Uint8Array
  return new View(getBuffer.call(array), getOffset.call(array) + from * View.BYTES_PER_ELEMENT, count)
}

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
 * False once the buffer was transferred, or shrunk so that the view lies outside it. Both read as
 * length 0, which an honest empty array does too; `keys` validates the view and does nothing else
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
