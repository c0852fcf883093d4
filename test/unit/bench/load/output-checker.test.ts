import { describe, expect, it } from 'vitest'
import { OutputChecker } from '../../../../bench/load/output-checker.js'
import type { PlainOutputs } from '../../../../bench/subjects/plain.js'

describe('the checker of outputs', () => {
  it('compares every 97th request, and in time every input', () => {
    const inputs = 128
    const references = Array.from(
      { length: inputs },
      (_, index): PlainOutputs => ({ y: { dims: [], data: [index] } }),
    )
    const checker = new OutputChecker(references)
    const compared = new Set<number>()
    for (let seen = 0; seen < 97 * inputs; seen += 1) {
      const index = seen % inputs
      if (checker.check(index, references[index])) compared.add(index)
    }
    expect(checker.checks).toEqual({ compared: inputs, wrong: 0 })
    expect(compared.size).toBe(inputs)
    for (let seen = 0; seen < 97; seen += 1) checker.check(0, references[1])
    expect(checker.checks).toEqual({ compared: inputs + 1, wrong: 1 })
  })
})
