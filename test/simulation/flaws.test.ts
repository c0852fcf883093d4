import { expect, it } from 'vitest'
import type { Flaw, Program } from './program.js'
import { simulate } from './simulate.js'

const program: Program = {
  seed: 1,
  settings: { replicas: 2, maxQueue: 10, drainTimeoutMs: 1_000 },
  models: ['a'],
  commands: [
    { kind: 'predict', model: 'a', count: 3 },
    { kind: 'wait', ms: 50 },
    { kind: 'swap', model: 'a', version: '2' },
    { kind: 'wait', ms: 100 },
    { kind: 'predict', model: 'a', timeoutMs: 20 },
    { kind: 'wait', ms: 50 },
  ],
  endsCalmly: true,
  closeMs: 100,
}

it('a program in which nothing fails violates nothing', async () => {
  const { violations, steps } = await simulate(program)
  expect({ violations, steps }).toEqual({ violations: [], steps: program.commands.length })
})

const FLAWS: Record<Flaw, RegExp> = {
  'wrong answer': /was answered with \d+: by/,
  'lost answer': /threads never ended/,
  'lost thread': /a close with 100 ms is not over|threads never ended/,
  'lost timer': /1 timers are left/,
  'endless ticks': /ticks follow each other without end/,
}

it.each(Object.entries(FLAWS) as [Flaw, RegExp][])(
  'a simulated world with the flaw "%s" is detected',
  async (flaw, expected) => {
    const { violations } = await simulate({ ...program, flaw })
    expect(violations.join('\n')).toMatch(expected)
  },
)
