import { describe, expect, it } from 'vitest'
import type { Published } from '../../../bench/harness/published.js'
import { benchScopes, chartOf, withBenchParts } from '../../../tools/bench-table.js'

const published: Published = {
  scope: 'throughput',
  quantity: 'requests',
  measuredAt: '2026-01-02T03:04:05.000Z',
  machine: {
    cpu: 'a CPU',
    cores: 2,
    memoryBytes: 1,
    os: 'linux',
    node: 'v20.0.0',
    onnxruntime: '1.30.0',
    loadAverage: 0,
  },
  ratios: [
    { name: 'a / b', value: '2.00', target: '>= 1', isMet: true },
    { name: 'a / c', value: '0.50', target: '>= 1', isMet: false },
    { name: 'a / d', value: '3.00' },
  ],
  figures: {},
}
const empty = 'before\n<!-- bench: throughput -->\n<!-- end -->\nafter\n'

describe('the part of the README on a bench', () => {
  const filled = withBenchParts(empty, () => published)

  it('is empty while nothing has been published', () => {
    expect(withBenchParts(empty, () => undefined)).toBe(empty)
    expect(withBenchParts(filled, () => undefined)).toBe(empty)
  })

  it('has every finding with its verdict, and the machine', () => {
    expect(filled).toContain('| a / b                | 2.00  | >= 1   | yes |')
    expect(filled).toContain('| a / c                | 0.50  | >= 1   | no  |')
    expect(filled).toContain('| a / d                | 3.00  |        |     |')
    expect(filled).toContain('2026-01-02, a CPU, 2 cores, Node v20.0.0, onnxruntime-node 1.30.0')
    expect(filled).toMatch(/^before\n/)
    expect(filled).toMatch(/\nafter\n$/)
  })

  it('has the figures if the page requests them', () => {
    const page = empty.replace('throughput', 'throughput with figures')
    const figures = { 'over time': [['minute'], ['1.0']] }
    const withFigures = withBenchParts(page, () => ({ ...published, figures }))
    expect(withFigures).toContain('| minute |\n| ------ |\n| 1.0    |')
    expect(benchScopes(withFigures)).toEqual(['throughput'])
    expect(withBenchParts(withFigures, () => ({ ...published, figures }))).toBe(withFigures)
  })

  it('stays the same when it is generated again', () => {
    expect(withBenchParts(filled, () => published)).toBe(filled)
    expect(benchScopes(filled)).toEqual(['throughput'])
  })

  it('shows the chart if there is one', () => {
    expect(filled).not.toContain('.svg')
    expect(chartOf(published)).toBeUndefined()
    const series = [{ name: 'tbcoin', points: [[1, 2]] as const }]
    const chart = { title: 'a model', xLabel: 'callers', panels: [{ title: 'requests', series }] }
    expect(withBenchParts(empty, () => ({ ...published, chart }))).toContain(
      '![a model: requests](bench/throughput.svg)',
    )
    expect(chartOf({ ...published, chart })).toContain('<svg')
  })
})
