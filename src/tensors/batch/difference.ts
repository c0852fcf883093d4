import { ELEMENT_TYPES } from '../element-types.js'
import { float16Value } from '../float16.js'
import type { Tensor, TensorData } from '../tensor.js'
import type { Tolerance } from './batch-plan.js'

/** The tolerance that accepts only equal values. */
export const EXACT: Tolerance = { rtol: 0, atol: 0 }

/**
 * Describes how a tensor differs from the expected one, as the end of a sentence; undefined if it does not.
 * Only floats have a tolerance: an integer that is off by one may be another class, index or token.
 */
export function difference(expected: Tensor, actual: Tensor, tolerance: Tolerance): string | undefined {
  if (expected.dims.join() !== actual.dims.join()) {
    return `has dims [${actual.dims}], expected [${expected.dims}]`
  }
  const { kind } = ELEMENT_TYPES[expected.type]
  const applied = kind === 'float' || kind === 'half' ? tolerance : EXACT
  for (let index = 0; index < expected.data.length; index += 1) {
    const wanted = elementOf(expected, index)
    const got = elementOf(actual, index)
    if (wanted === got || isClose(wanted, got, applied)) continue
    return `is ${got} at ${index}, expected ${wanted}`
  }
  return undefined
}

/**
 * Returns the index of the first tensor that differs from the expected one, and how it differs; undefined if
 * none does.
 */
export function firstDifference(
  expected: readonly Tensor[],
  actual: readonly Tensor[],
  tolerance: Tolerance,
): { readonly index: number; readonly problem: string } | undefined {
  for (const [index, tensor] of expected.entries()) {
    const problem = difference(tensor, actual[index] as Tensor, toleranceFor(tensor, tolerance))
    if (problem !== undefined) return { index, problem }
  }
  return undefined
}

function elementOf({ type, data }: Tensor, index: number): TensorData[number] | undefined {
  return type === 'float16' ? float16Value(data[index] as number) : data[index]
}

function isClose(wanted: unknown, got: unknown, { rtol, atol }: Tolerance): boolean {
  if (typeof wanted !== 'number' || typeof got !== 'number') return false
  if (Number.isNaN(wanted) && Number.isNaN(got)) return true
  if (!Number.isFinite(wanted) || !Number.isFinite(got)) return false
  return Math.abs(wanted - got) <= atol + rtol * Math.abs(wanted)
}

/** Returns the tolerance for a tensor; it is wider for float16, whose last bit exceeds the usual one. */
function toleranceFor({ type }: Tensor, { rtol, atol }: Tolerance): Tolerance {
  if (type !== 'float16') return { rtol, atol }
  return { rtol: Math.max(rtol, 2 ** -10), atol: Math.max(atol, 2 ** -14) }
}
