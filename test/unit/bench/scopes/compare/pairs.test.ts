import { describe, expect, it } from 'vitest'
import { ratioOf } from '../../../../../bench/scopes/compare/pairs.js'

function pairs(ratios: readonly number[]): Parameters<typeof ratioOf>[0] {
  return { name: 'x', isCost: true, first: ratios.map(() => 2), second: ratios.map((ratio) => ratio * 2) }
}

describe('the ratio of pairs', () => {
  it('is the median of the second over the first', () => {
    expect(ratioOf(pairs([5, 1, 0.5])).median).toBe(1)
  })

  it('has an interval that narrows with the number of pairs', () => {
    const many = Array.from({ length: 101 }, (_, index) => 0.5 + index / 100)
    const { median, low, high } = ratioOf(pairs(many))
    expect(median).toBeCloseTo(1)
    // Ranks 41 and 61 of 101, as tables of order statistics have it.
    expect(low).toBeCloseTo(0.9)
    expect(high).toBeCloseTo(1.1)
  })

  it('has all values within the interval of a few', () => {
    expect(ratioOf(pairs([1, 2, 3]))).toEqual({ median: 2, low: 1, high: 3 })
  })
})
