import { describe, expect, it } from 'vitest'
import { closedCells, MODELS } from '../../../../../bench/scopes/throughput/plan.js'

describe('the plan of the throughput bench', () => {
  it('has every cell once, and the upper bound once per model', () => {
    const cells = closedCells(MODELS, ['main-thread', 'upper-bound', 'runtime'], [])
    const keys = cells.map((cell) => JSON.stringify(cell))
    expect(new Set(keys).size).toBe(keys.length)
    expect(cells.filter(({ variant }) => variant === 'upper-bound')).toHaveLength(MODELS.length)
  })

  it('has the numbers of callers of the command line', () => {
    expect(closedCells(['iris'], ['runtime'], [1, 8]).map(({ traffic }) => traffic)).toEqual([
      { callers: 1 },
      { callers: 8 },
    ])
  })
})
