import { describeValue } from './describe.js'
import { ARRAY_CLASSES, type ElementType } from './element-types.js'
import { float16Bits } from './float16.js'
import type { TensorData, TensorType } from './tensor.js'

/** Returns a new array of `count` elements, which are zeros or empty strings. */
export function newElements(type: TensorType, count: number): TensorData {
  return type === 'string' ? new Array<string>(count).fill('') : new ARRAY_CLASSES[type](count)
}

/**
 * Writes `count` JavaScript values to `target` from `offset` on. Returns the index of the first value that is
 * not a valid element, which `elementProblem` describes; -1 if all were written.
 */
export function writeElements(
  element: ElementType,
  values: readonly unknown[],
  count: number,
  target: TensorData,
  offset: number,
): number {
  const elements = target as (number | bigint | string)[]
  for (let index = 0; index < count; index += 1) {
    const converted = toElement(element, values[index])
    if (converted === undefined) return index
    elements[offset + index] = converted
  }
  return -1
}

function toElement({ kind, min, max }: ElementType, value: unknown): number | bigint | string | undefined {
  switch (kind) {
    case 'float':
      return typeof value === 'number' ? value : undefined
    case 'half':
      return typeof value === 'number' ? float16Bits(value) : undefined
    case 'integer':
      return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
        ? value
        : undefined
    case 'bigint': {
      const integer = Number.isSafeInteger(value) ? BigInt(value as number) : value
      return typeof integer === 'bigint' && integer >= min && integer <= max ? integer : undefined
    }
    case 'bool':
      return value === true || value === 1 ? 1 : value === false || value === 0 ? 0 : undefined
    case 'string':
      return isWholeString(value) ? value : undefined
  }
}

/** Returns true if ONNX Runtime keeps the whole string: an embedded NUL would end it. */
export function isWholeString(value: unknown): value is string {
  return typeof value === 'string' && !value.includes('\0')
}

/** Describes a value that is not a valid element, and the values that are. */
export function elementProblem(
  { kind, min, max }: ElementType,
  value: unknown,
): [got: string, advice: string] {
  const got = describeValue(value)
  switch (kind) {
    case 'float':
    case 'half':
      return [got, typeof value === 'bigint' ? 'convert it with Number(...)' : 'numbers are expected']
    case 'integer':
      return [got, `integers from ${min} to ${max} are expected`]
    case 'bigint':
      return [got, `bigints or safe integers from ${min} to ${max} are expected`]
    case 'bool':
      return [got, 'true, false, 1 or 0 are expected']
    case 'string':
      return typeof value === 'string'
        ? [`${got} with a NUL character`, 'ONNX Runtime would cut the string there']
        : [got, 'strings are expected']
  }
}
