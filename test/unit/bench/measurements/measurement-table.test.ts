import { describe, expect, it } from 'vitest'
import { MeasurementTable, wrongOutputs } from '../../../../bench/measurements/measurement-table.js'
import { sampleOf, samples, vad } from '../scopes/throughput/samples.js'

describe('the table of measurements', () => {
  it('has the median of the rounds of a cell, and NaN for a cell that was not measured', () => {
    const table = new MeasurementTable(samples)
    const rate = (callers: number): number =>
      table.median('vad6', 'runtime', { callers }, ({ perSecond }) => perSecond)
    expect(rate(64)).toBe(40)
    expect(rate(2)).toBeNaN()
  })

  it('has a row per cell with the rate of every round', () => {
    const [head, row] = new MeasurementTable(samples).rows([vad('runtime', 64)])
    expect(row).toHaveLength(head?.length ?? 0)
    expect(row?.slice(0, 3)).toEqual(['tbcoin', '64', '40.0'])
    expect(row?.at(-1)).toBe('36.0 40.0 44.0')
  })
})

describe('the failures of measurements', () => {
  it('are their wrong outputs', () => {
    expect(wrongOutputs(samples)).toEqual([])
    const wrong = sampleOf(vad('baseline-pool', 64), 1, { checks: { compared: 9, wrong: 2 } })
    expect(wrongOutputs([...samples, wrong])).toEqual([
      'vad6, baseline-pool, 64 callers: 2 of 9 outputs are wrong',
    ])
  })
})
