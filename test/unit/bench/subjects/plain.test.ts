import { describe, expect, it } from 'vitest'
import { isSameOutputs, type PlainOutputs } from '../../../../bench/subjects/plain.js'

const reference: PlainOutputs = {
  y: { dims: [2], data: Float32Array.of(100, 0) },
  n: { dims: [1], data: BigInt64Array.of(3n) },
}

describe('an output', () => {
  it.each([
    ['equal', reference],
    ['close', { ...reference, y: { dims: [2], data: Float32Array.of(100.05, 5e-6) } }],
  ])('counts as the reference when it is %s', (_, outputs) => {
    expect(isSameOutputs(outputs, reference)).toBe(true)
  })

  it.each([
    ['another value', { ...reference, y: { dims: [2], data: Float32Array.of(101, 0) } }],
    ['NaN', { ...reference, y: { dims: [2], data: Float32Array.of(Number.NaN, 0) } }],
    ['another integer', { ...reference, n: { dims: [1], data: BigInt64Array.of(4n) } }],
    ['another shape', { ...reference, y: { dims: [1, 2], data: Float32Array.of(100, 0) } }],
    ['too little data', { ...reference, y: { dims: [2], data: Float32Array.of(100) } }],
    ['a missing output', { y: reference.y }],
    ['an extra output', { ...reference, more: reference.y }],
  ])('does not with %s', (_, outputs) => {
    expect(isSameOutputs(outputs as PlainOutputs, reference)).toBe(false)
  })
})
