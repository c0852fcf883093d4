import { describe, expect, it } from 'vitest'
import { MeasurementTable } from '../../../../../bench/measurements/measurement-table.js'
import { chartOf } from '../../../../../bench/scopes/throughput/chart.js'
import { samples } from './samples.js'

describe('the chart of the throughput bench', () => {
  it('has throughput and p99 over the callers', () => {
    expect(chartOf(new MeasurementTable(samples))?.panels.map(({ series }) => series)).toEqual([
      [
        {
          name: 'tbcoin',
          points: [
            [1, 5],
            [64, 40],
          ],
        },
      ],
      [
        {
          name: 'tbcoin',
          points: [
            [1, 3],
            [64, 3],
          ],
        },
      ],
    ])
  })

  it('is left out for a single number of callers', () => {
    expect(chartOf(new MeasurementTable(samples.slice(0, 2)))).toBeUndefined()
  })
})
