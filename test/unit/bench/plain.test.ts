import { describe, expect, it } from 'vitest'
import { AnswerChecker } from '../../../bench/load/answer-checker.js'
import { isSameOutputs, type PlainOutputs } from '../../../bench/subjects/plain.js'
import { SUBJECT_NAMES, SUBJECTS } from '../../../bench/subjects/subjects.js'

const reference: PlainOutputs = {
  y: { dims: [2], data: Float32Array.of(100, 0) },
  n: { dims: [1], data: BigInt64Array.of(3n) },
}

describe('an answer', () => {
  it.each([
    ['what it is', reference],
    ['close by', { ...reference, y: { dims: [2], data: Float32Array.of(100.05, 5e-6) } }],
  ])('is the reference when it is %s', (_, outputs) => {
    expect(isSameOutputs(outputs, reference)).toBe(true)
  })

  it.each([
    ['another value', { ...reference, y: { dims: [2], data: Float32Array.of(101, 0) } }],
    ['no number', { ...reference, y: { dims: [2], data: Float32Array.of(Number.NaN, 0) } }],
    ['another integer', { ...reference, n: { dims: [1], data: BigInt64Array.of(4n) } }],
    ['another shape', { ...reference, y: { dims: [1, 2], data: Float32Array.of(100, 0) } }],
    ['too little data', { ...reference, y: { dims: [2], data: Float32Array.of(100) } }],
    ['an output less', { y: reference.y }],
    ['an output more', { ...reference, more: reference.y }],
  ])('is not with %s', (_, outputs) => {
    expect(isSameOutputs(outputs as PlainOutputs, reference)).toBe(false)
  })
})

describe('the checker', () => {
  it('compares every 97th answer, in the end those of all inputs', () => {
    const inputs = 128
    const references = Array.from(
      { length: inputs },
      (_, index): PlainOutputs => ({ y: { dims: [], data: [index] } }),
    )
    const checker = new AnswerChecker(references)
    const compared = new Set<number>()
    for (let seen = 0; seen < 97 * inputs; seen += 1) {
      const index = seen % inputs
      if (checker.see(index, references[index])) compared.add(index)
    }
    expect(checker.checks).toEqual({ compared: inputs, wrong: 0 })
    expect(compared.size).toBe(inputs)
    for (let seen = 0; seen < 97; seen += 1) checker.see(0, references[1])
    expect(checker.checks).toEqual({ compared: inputs + 1, wrong: 1 })
  })
})

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

  it('have as many inputs as every 97th answer can reach', () => {
    for (const name of SUBJECT_NAMES) expect(97 % SUBJECTS[name].inputs).not.toBe(0)
  })
})
