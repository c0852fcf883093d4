import { getFloat16, setFloat16 } from '@petamoriken/float16'

const scratch = new DataView(new ArrayBuffer(2))

/** Bits of the float16 nearest to `value`, ties to even; beyond 65504 it rounds to Infinity as IEEE 754 does. */
export function float16Bits(value: number): number {
  setFloat16(scratch, 0, value)
  return scratch.getUint16(0)
}

/** The number that float16 bits stand for. */
export function float16Value(bits: number): number {
  scratch.setUint16(0, bits)
  return getFloat16(scratch, 0)
}
