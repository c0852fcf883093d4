import { describe, expect, it } from 'vitest'
import { type Chart, lineChart } from '../../../../bench/report/line-chart.js'

const chart: Chart = {
  title: 'a < b & "c"',
  xLabel: 'callers',
  panels: [
    {
      title: 'requests per second',
      series: [
        {
          name: 'one',
          points: [
            [1, 10],
            [10, 100],
            [100, 1_000],
          ],
        },
        {
          name: 'two',
          points: [
            [1, 20],
            [100, 200],
          ],
        },
      ],
    },
    { title: 'p99, ms', series: [{ name: 'two', points: [[1, 0.5]] }] },
  ],
}

function pointsOf(svg: string): string[] {
  return [...svg.matchAll(/<polyline points="([^"]*)"/g)].map((match) => match[1] as string)
}

describe('a chart', () => {
  const svg = lineChart(chart)

  it('is one SVG element without references to other files', () => {
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" [^>]*>/)
    expect(svg).toMatch(/<\/svg>\n$/)
    expect(svg).not.toMatch(/href|url\(|<script|<style/)
    expect(svg.match(/<g /g)).toHaveLength(2)
    expect(svg.match(/<g /g)).toHaveLength(svg.match(/<\/g>/g)?.length ?? 0)
  })

  it('escapes its texts', () => {
    expect(svg).toContain('a &lt; b &amp; &quot;c&quot;')
    expect(svg).not.toContain('a < b')
  })

  it('has logarithmic axes from the smallest to the largest value', () => {
    const [one] = pointsOf(svg)
    const [first, middle, last] = (one as string).split(' ').map((pair) => pair.split(',').map(Number))
    expect(first?.[0]).toBe(60)
    expect(last?.[0]).toBe(404)
    expect(middle).toEqual([232, ((first?.[1] ?? 0) + (last?.[1] ?? 0)) / 2])
    expect(last?.[1]).toBe(74)
  })

  it('draws a series in the same style in every panel', () => {
    const strokes = [...svg.matchAll(/<polyline [^>]*(stroke="#\w+")/g)].map((match) => match[1])
    expect(strokes).toHaveLength(3)
    expect(strokes[2]).toBe(strokes[1])
    expect(strokes[0]).not.toBe(strokes[1])
  })

  it('accepts a single point, and throws for values without a logarithm', () => {
    expect(pointsOf(svg)[2]).toMatch(/^[\d.]+,[\d.]+$/)
    const zero = {
      ...chart,
      panels: [{ title: 'zero', series: [{ name: 'one', points: [[1, 0]] as const }] }],
    }
    expect(() => lineChart(zero)).toThrow('above 0')
    expect(() => lineChart({ ...chart, panels: [{ title: 'empty', series: [] }] })).toThrow('nothing to draw')
  })
})
