import { describe, expect, it } from 'vitest'
import { comparable, medianOf, type Sample } from '../../../../bench/harness/rounds.js'

const sample = (cell: string, figures: number, isDisturbed = false): Sample<string, number> => ({
  cell,
  figures,
  isDisturbed,
})

describe('the samples of a bench', () => {
  it('exclude the disturbed ones if every cell has an undisturbed one', () => {
    const samples = [sample('a', 1), sample('a', 9, true), sample('b', 2)]
    expect(comparable(samples)).toEqual([samples[0], samples[2]])
  })

  it('include all if a cell has only disturbed ones', () => {
    const samples = [sample('a', 1), sample('a', 9, true), sample('b', 2, true)]
    expect(comparable(samples)).toBe(samples)
  })

  it('have a median by cell', () => {
    const samples = [sample('a', 1), sample('b', 7), sample('a', 3), sample('a', 2)]
    expect(medianOf(samples, 'a', (figures) => figures)).toBe(2)
    expect(() => medianOf(samples, 'c', (figures) => figures)).toThrow('no median')
  })
})
