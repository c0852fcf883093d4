import { describe, expect, it } from 'vitest'
import { SUBJECT_NAMES, SUBJECTS } from '../../../../bench/subjects/subjects.js'

describe('the subjects', () => {
  it.each(SUBJECT_NAMES)('of %s have inputs that differ and own their memory', (name) => {
    const { input } = SUBJECTS[name]
    const valuesOf = (index: number): unknown[] =>
      Object.values(input(index)).flatMap(({ data }) => [...data.subarray(0, 100)])
    expect(valuesOf(1)).toEqual(valuesOf(1))
    expect(valuesOf(1)).not.toEqual(valuesOf(2))
    for (const { dims, data } of Object.values(input(0))) {
      expect(data.length).toBe(dims.reduce((product, size) => product * size, 1))
      expect(data.byteLength).toBe(data.buffer.byteLength)
    }
  })

  it('have numbers of inputs that every 97th request goes through', () => {
    for (const name of SUBJECT_NAMES) expect(97 % SUBJECTS[name].inputs).not.toBe(0)
  })
})
