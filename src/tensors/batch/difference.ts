import { ELEMENT_TYPES } from '../element-types.js'
import { float16Value } from '../float16.js'
import type { Tensor, TensorData } from '../tensor.js'
import type { Tolerance } from './batch-plan.js'

/** The tolerance that accepts only equal values. */
export const EXACT: Tolerance = { rtol: 0, atol: 0 }

/**
 * Describes how a tensor differs from the expected one, as the end of a sentence; undefined if it does not. Only floats
 * have a tolerance: an integer that is off by one may be another class, index or token.
 */
export function difference(expected: Tensor, actual: Tensor, tolerance: Tolerance): string | undefined {
  if (expected.dims.join() !== actual.dims.join()) {
    return `has dims [${actual.dims}], expected [${expected.dims}]`
  }
  const { kind } = ELEMENT_TYPES[expected.type]
  const own = kind === 'float' || kind === 'half' ? tolerance : EXACT
  for (let index = 0; index < expected.data.length; index += 1) {
    const want = elementOf(expected, index)
    const got = elementOf(actual, index)
    if (want === got || isClose(want, got, own)) continue
    return `is ${got} at ${index}, expected ${want}`
  }
  return undefined
}

/** Returns the index of the first tensor that differs from the expected one, and how it differs; undefined if none does. */
export function firstDifference(
  expected: readonly Tensor[],
  actual: readonly Tensor[],
  tolerance: Tolerance,
): { readonly index: number; readonly found: string } | undefined {
  for (const [index, each] of expected.entries()) {
    const found = difference(each, actual[index] as Tensor, toleranceFor(each, tolerance))
    if (found !== undefined) return { index, found }
  }
  return undefined
}

function elementOf({ type, data }: Tensor, index: number): TensorData[number] | undefined {
  return type === 'float16' ? float16Value(data[index] as number) : data[index]
}

function isClose(want: unknown, got: unknown, { rtol, atol }: Tolerance): boolean {
  if (typeof want !== 'number' || typeof got !== 'number') return false
  if (Number.isNaN(want) && Number.isNaN(got)) return true
  if (!Number.isFinite(want) || !Number.isFinite(got)) return false
  return Math.abs(want - got) <= atol + rtol * Math.abs(want)
}

/** Returns the tolerance for a tensor; it is wider for float16, whose last bit exceeds the usual one. */
function toleranceFor({ type }: Tensor, { rtol, atol }: Tolerance): Tolerance {
  if (type !== 'float16') return { rtol, atol }
  return { rtol: Math.max(rtol, 2 ** -10), atol: Math.max(atol, 2 ** -14) }
}
