import { describe, expect, it } from 'vitest'
import type { Cell } from '../../../bench/measurements/bed.js'
import { type CellSample, Grid, NO_CALLERS, wrongAnswers } from '../../../bench/measurements/grid.js'
import type { TrafficFigures, Variant } from '../../../bench/measurements/stretch-order.js'
import { chartOf } from '../../../bench/scopes/throughput/chart.js'
import { findingsOf } from '../../../bench/scopes/throughput/findings.js'
import { closedCells, MODELS } from '../../../bench/scopes/throughput/plan.js'

function figures(perSecond: number, more: Partial<TrafficFigures> = {}): TrafficFigures {
  return {
    perSecond,
    slices: [perSecond],
    cores: 2,
    mainBusy: 0.2,
    mainUtilisation: 0.25,
    loopDelayP99Ms: 1,
    latency: { count: 1, p50Ms: 1, p90Ms: 2, p99Ms: 3, maxMs: 4 },
    refused: 0,
    checks: { compared: 1, wrong: 0 },
    ...more,
  }
}

function sampleOf(cell: Cell, perSecond: number, more?: Partial<TrafficFigures>): CellSample {
  return { cell, figures: figures(perSecond, more), isDisturbed: false }
}

function vad(variant: Variant, callers: number): Cell {
  return { subject: 'vad6', variant, traffic: variant.startsWith('ceiling') ? NO_CALLERS : { callers } }
}

const samples = [
  sampleOf(vad('raw', 64), 10),
  sampleOf(vad('runtime', 64), 36),
  sampleOf(vad('runtime', 64), 40, { mainBusy: 0.4 }),
  sampleOf(vad('runtime', 64), 44),
  sampleOf(vad('runtime', 1), 5),
  sampleOf(vad('ceiling', 0), 20, { loopDelayP99Ms: 0.5 }),
]

describe('the plan of the throughput bench', () => {
  it('has a cell once, and the ceiling once a model', () => {
    const cells = closedCells(MODELS, ['raw', 'ceiling', 'runtime'], [])
    const keys = cells.map((cell) => JSON.stringify(cell))
    expect(new Set(keys).size).toBe(keys.length)
    expect(cells.filter(({ variant }) => variant === 'ceiling')).toHaveLength(MODELS.length)
  })

  it('has the callers it is told', () => {
    expect(closedCells(['iris'], ['runtime'], [1, 8]).map(({ traffic }) => traffic)).toEqual([
      { callers: 1 },
      { callers: 8 },
    ])
  })
})

describe('the findings of the throughput bench', () => {
  const findings = findingsOf(new Grid(samples))
  const told = (part: string): string | undefined => findings.find(({ name }) => name.includes(part))?.value

  it('set medians against each other', () => {
    expect(told('64 callers: answers per second, tbcoin / main thread')).toBe('4.00')
    expect(findings.find(({ name }) => name.includes('/ main thread'))?.isMet).toBe(true)
  })

  it('tell of the main thread where most answers came', () => {
    expect(told('at its peak, 64 callers: share of the time')).toBe('0.20')
    expect(told('tbcoin / two bare threads')).toBe('2.00')
  })

  it('leave out what was not measured', () => {
    expect(findings.filter(({ name }) => !name.startsWith('Silero'))).toEqual([])
    expect(findings.filter(({ name }) => name.includes('hand-written') || name.includes('nice 0'))).toEqual(
      [],
    )
    expect(findingsOf(new Grid([]))).toEqual([])
  })

  it('have a chart once there are several numbers of callers', () => {
    expect(chartOf(new Grid(samples))?.panels.map(({ series }) => series)).toEqual([
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
    expect(chartOf(new Grid(samples.slice(0, 2)))).toBeUndefined()
  })

  it('fail for wrong answers', () => {
    expect(wrongAnswers(samples)).toEqual([])
    const wrong = sampleOf(vad('hand', 64), 1, { checks: { compared: 9, wrong: 2 } })
    expect(wrongAnswers([...samples, wrong])).toEqual(['vad6, hand, 64 callers: 2 of 9 answers are wrong'])
  })
})
