import { describe, expect, it } from 'vitest'
import { difference } from '../../../../src/tensors/batch/difference.js'
import { newElements } from '../../../../src/tensors/coerce-elements.js'
import type { Tensor, TensorType } from '../../../../src/tensors/tensor.js'

describe('the difference of two tensors', () => {
  const TOLERANCE = { rtol: 1e-4, atol: 1e-6 }
  const differ = (type: TensorType, want: unknown, got: unknown): string | undefined => {
    const make = (element: unknown): Tensor => {
      const data = newElements(type, 1) as unknown[]
      data[0] = element
      return { type, dims: [1], data } as unknown as Tensor
    }
    return difference(make(want), make(got), TOLERANCE)
  }

  it.each(['float32', 'float64'] as const)('of %s ignores values within the tolerance', (type) => {
    const { NaN: nan, POSITIVE_INFINITY: infinite } = Number
    const same = [
      [nan, nan],
      [infinite, infinite],
      [-infinite, -infinite],
      [0, -0],
      [1, 1.000_09],
      [1e30, 1.000_09e30],
      [0, 9e-7],
    ] as const
    const other = [
      [nan, 0],
      [0, nan],
      [infinite, -infinite],
      [infinite, 3e38],
      [3e38, infinite],
      [nan, infinite],
      [1, 1.000_2],
      [0, 2e-6],
      [1, -1],
    ] as const
    for (const [want, got] of same) expect(differ(type, want, got), `${want} ${got}`).toBeUndefined()
    for (const [want, got] of other) expect(differ(type, want, got), `${want} ${got}`).toBeDefined()
  })

  it('of float16 compares the numbers, not their bits', () => {
    expect(differ('float16', 0x7e00, 0x7e01)).toBeUndefined()
    expect(differ('float16', 0x0000, 0x8000)).toBeUndefined()
    expect(differ('float16', 0x7c00, 0x7c00)).toBeUndefined()
    expect(differ('float16', 0x7c00, 0xfc00)).toBeDefined()
    expect(differ('float16', 0x7c00, 0x7bff)).toBeDefined()
  })

  it.each([
    ['int8', 100, 101],
    ['uint8', 200, 201],
    ['int16', 30_000, 30_001],
    ['uint16', 60_000, 60_001],
    ['int32', 1_000_000, 1_000_001],
    ['uint32', 4_000_000_000, 4_000_000_001],
    ['int64', 2n ** 60n, 2n ** 60n + 1n],
    ['uint64', 2n ** 63n, 2n ** 63n + 1n],
    ['bool', 1, 0],
    ['string', 'a', 'b'],
  ] as const)('of %s reports any deviation, however small', (type, want, got) => {
    expect(differ(type, want, want)).toBeUndefined()
    expect(differ(type, want, got)).toBeDefined()
  })
})
