import { describe, expect, it } from 'vitest'
import { CostModel } from '../../../../src/pools/queue/cost-model.js'

/** Observes runs of a model that takes `perRun + perRow * rows`, times `factor`. */
function observe(costs: CostModel, rows: readonly number[], times = 1, factor = 1): void {
  for (let turn = 0; turn < times; turn += 1) {
    for (const each of rows) costs.observe(each, factor * (0.1 + 0.02 * each))
  }
}

describe('the cost model', () => {
  it('knows no costs at first', () => {
    const costs = new CostModel()
    expect(costs.batchMs(4)).toBeUndefined()
    expect(costs.singleMs).toBeUndefined()
  })

  it('splits the cost of a run into a part for the run and a part for each row', () => {
    const costs = new CostModel()
    observe(costs, [1, 2, 8, 32])
    expect(costs.perRowMs).toBeCloseTo(0.02, 6)
    expect(costs.perRunMs).toBeCloseTo(0.1, 6)
    expect(costs.batchMs(64)).toBeCloseTo(1.38, 6)
    expect(costs.singleMs).toBeCloseTo(0.12, 6)
  })

  it('keeps the cost of a row when all later runs have the same size', () => {
    const costs = new CostModel()
    observe(costs, [1, 2, 8, 32])
    observe(costs, [32], 2_000)
    expect(costs.perRowMs).toBeCloseTo(0.02, 4)
    expect(costs.batchMs(4)).toBeCloseTo(0.18, 3)
  })

  it('follows the speed of the machine, also for sizes that it no longer observes', () => {
    const costs = new CostModel()
    observe(costs, [1, 2, 8, 32], 5)
    observe(costs, [32], 500, 2)
    for (const [ms, before] of [
      [costs.batchMs(32), 0.74],
      [costs.batchMs(2), 0.14],
      [costs.singleMs, 0.12],
    ] as const) {
      expect((ms as number) / before).toBeGreaterThan(1.6)
      expect((ms as number) / before).toBeLessThan(2.2)
    }
  })

  it('is hardly affected by a single slow run', () => {
    const costs = new CostModel()
    observe(costs, [1, 8, 32], 50)
    costs.observe(32, 10_000)
    expect(costs.batchMs(32)).toBeLessThan(2)
  })

  it('finds no cost for the run itself where a batch is no faster', () => {
    const costs = new CostModel()
    for (const rows of [1, 2, 4, 8]) costs.observe(rows, rows)
    expect(costs.perRowMs).toBeCloseTo(1, 6)
    expect(costs.perRunMs).toBeCloseTo(0, 6)
  })
})
