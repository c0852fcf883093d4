import { describeValue, quote } from '../describe.js'
import { type AnyTypedArray, isUsable, typedArrayName } from '../typed-arrays.js'
import { type Expectation, type InputProblem, mismatch } from './expectation.js'

/**
 * Returns the problem of a typed array of the wrong class. Such an array is rejected instead of converted: it
 * may be a mistake, and a copy costs time.
 */
export function wrongClass(expected: Expectation, got: unknown, where = ''): InputProblem {
  const advice = `it must be ${holderOf(expected)}; ${conversion(expected, got)}`
  return mismatch(expected, describeValue(got) + where, advice)
}

/**
 * Returns the description of the array that holds the elements: `Float32Array`, `Uint16Array of float16
 * bits`, `an array of strings`.
 */
export function holderOf({ type, element }: Expectation): string {
  if (type === 'string') return 'an array of strings'
  if (type === 'float16') return 'Uint16Array of float16 bits'
  return type === 'bool' ? 'Uint8Array of 0 and 1' : element.arrayName
}

function conversion({ type, element }: Expectation, got: unknown): string {
  if (type === 'string') return 'convert it, e.g. Array.from(..., String)'
  if (type === 'float16') return 'nested arrays of numbers are converted'
  const hasBigints = typedArrayName(got)?.startsWith('Big') ?? false
  const needsBigints = element.kind === 'bigint'
  const map = hasBigints === needsBigints ? '' : needsBigints ? ', BigInt' : ', Number'
  return `convert it, e.g. ${element.arrayName}.from(...${map})`
}

/** Throws if a typed array reads as empty only because its memory is gone. */
export function refuseUnusable(expected: Expectation, array: AnyTypedArray): void {
  if (isUsable(array)) return
  const got = `${typedArrayName(array)} without its buffer`
  const advice = `the buffer of ${quote(expected.name)} was transferred (detached) or made smaller`
  throw mismatch(expected, got, advice)
}
