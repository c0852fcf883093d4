import type { TensorType } from './tensor.js'

/** The storage of a type's elements, and the JavaScript values that can be converted to one. */
export interface ElementType {
  /** Class that holds the elements, by the name its instances carry in every realm. */
  readonly arrayName: string
  readonly kind: 'float' | 'half' | 'integer' | 'bigint' | 'bool' | 'string'
  /** 0 for strings, which have no fixed size. */
  readonly bytesPerElement: number
  /** Range of the integer kinds, inclusive; unused by the others. */
  readonly min: number | bigint
  readonly max: number | bigint
  /** The element that fills padding. */
  readonly zero: number | bigint | string
}

const element = (
  arrayName: string,
  kind: ElementType['kind'],
  bytesPerElement: number,
  min: number | bigint = 0,
  max: number | bigint = 0,
): ElementType => ({
  arrayName,
  kind,
  bytesPerElement,
  min,
  max,
  zero: kind === 'bigint' ? 0n : kind === 'string' ? '' : 0,
})

/**
 * The element types by name. bool is stored as bytes of 0 or 1, and float16 as its bits, since the
 * Float16Array path of onnxruntime-node is broken (microsoft/onnxruntime#32323).
 */
export const ELEMENT_TYPES: { readonly [T in TensorType]: ElementType } = {
  float32: element('Float32Array', 'float', 4),
  float64: element('Float64Array', 'float', 8),
  float16: element('Uint16Array', 'half', 2),
  int8: element('Int8Array', 'integer', 1, -(2 ** 7), 2 ** 7 - 1),
  uint8: element('Uint8Array', 'integer', 1, 0, 2 ** 8 - 1),
  int16: element('Int16Array', 'integer', 2, -(2 ** 15), 2 ** 15 - 1),
  uint16: element('Uint16Array', 'integer', 2, 0, 2 ** 16 - 1),
  int32: element('Int32Array', 'integer', 4, -(2 ** 31), 2 ** 31 - 1),
  uint32: element('Uint32Array', 'integer', 4, 0, 2 ** 32 - 1),
  int64: element('BigInt64Array', 'bigint', 8, -(2n ** 63n), 2n ** 63n - 1n),
  uint64: element('BigUint64Array', 'bigint', 8, 0n, 2n ** 64n - 1n),
  bool: element('Uint8Array', 'bool', 1),
  string: element('Array', 'string', 0),
}

/** The class that holds the elements of each type except strings, which are in a plain array. */
export const ARRAY_CLASSES = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
} as const
