import { describe, expect, it } from 'vitest'
import { MeasurementTable } from '../../../../../bench/measurements/measurement-table.js'
import { findingsOf } from '../../../../../bench/scopes/throughput/findings.js'
import { samples } from './samples.js'

describe('the findings of the throughput bench', () => {
  const findings = findingsOf(new MeasurementTable(samples))
  const findValue = (part: string): string | undefined =>
    findings.find(({ name }) => name.includes(part))?.value

  it('compare medians', () => {
    expect(findValue('64 callers: requests per second, tbcoin / main thread')).toBe('4.00')
    expect(findings.find(({ name }) => name.includes('/ main thread'))?.isMet).toBe(true)
  })

  it('describe the main thread at the highest rate', () => {
    expect(findValue('at its peak, 64 callers: share of the time')).toBe('0.20')
    expect(findValue('tbcoin / two bare threads')).toBe('2.00')
  })

  it('leave out cells that were not measured', () => {
    expect(findings.filter(({ name }) => !name.startsWith('Silero'))).toEqual([])
    expect(findings.filter(({ name }) => name.includes('Piscina') || name.includes('nice 0'))).toEqual([])
    expect(findingsOf(new MeasurementTable([]))).toEqual([])
  })
})
