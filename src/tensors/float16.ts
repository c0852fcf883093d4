import { getFloat16, setFloat16 } from '@petamoriken/float16'

const scratch = new DataView(new ArrayBuffer(2))

/**
 * Returns the bits of the float16 nearest to `value`, ties to even; beyond 65504 it rounds to Infinity as in
 * IEEE 754.
 */
export function float16Bits(value: number): number {
  setFloat16(scratch, 0, value)
  return scratch.getUint16(0)
}

/** Returns the number that float16 bits represent. */
export function float16Value(bits: number): number {
  scratch.setUint16(0, bits)
  return getFloat16(scratch, 0)
}
