import { describe, expect, it } from 'vitest'
import { float16Bits, float16Value } from '../../../src/tensors/float16.js'

const isNaNBits = (bits: number) => (bits & 0x7c00) === 0x7c00 && (bits & 0x03ff) !== 0

/** Decodes IEEE 754 binary16 by its definition. */
function numberOf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 0x3ff
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25)
}

describe('float16 bits', () => {
  it('survive the round trip for every pattern that is a number', () => {
    const wrong: number[] = []
    for (let bits = 0; bits < 0x10000; bits++) {
      const value = float16Value(bits)
      if (!Object.is(value, numberOf(bits))) wrong.push(bits)
      if (!isNaNBits(bits) && float16Bits(value) !== bits) wrong.push(bits)
      if (isNaNBits(bits) && !isNaNBits(float16Bits(value))) wrong.push(bits)
    }
    expect(wrong).toEqual([])
  })

  it('are those of the nearest number, and of the even one halfway', () => {
    const wrong: number[] = []
    for (let bits = 0; bits < 0x7bff; bits++) {
      const low = numberOf(bits)
      const high = numberOf(bits + 1)
      const middle = (low + high) / 2
      const step = (high - low) / 2 ** 20
      if (float16Bits(middle) !== (bits % 2 === 0 ? bits : bits + 1)) wrong.push(bits)
      if (float16Bits(middle - step) !== bits) wrong.push(bits)
      if (float16Bits(middle + step) !== bits + 1) wrong.push(bits)
    }
    expect(wrong).toEqual([])
  })

  it('are infinite from 65520 on', () => {
    expect(float16Bits(65519.99)).toBe(0x7bff)
    expect(float16Bits(65520)).toBe(0x7c00)
    expect(float16Bits(-1e9)).toBe(0xfc00)
  })
})
