import { describe, expect, it } from 'vitest'
import { number, numberOptions, numbers, readOptions, words } from '../../../../bench/harness/options.js'

const options = {
  rounds: number(5),
  callers: numbers([1, 64]),
  models: words(['iris', 'vad6', 'rec'] as const),
}

describe('the options of a bench', () => {
  it('have their defaults', () => {
    expect(readOptions([], options)).toEqual({ rounds: 5, callers: [1, 64], models: ['iris', 'vad6', 'rec'] })
    expect(numberOptions([], { rounds: 5 })).toEqual({ rounds: 5 })
  })

  it('are numbers, and lists of numbers or of known words', () => {
    const args = ['--rounds', '3', '--callers', '1,512', '--models', 'rec,iris']
    expect(readOptions(args, options)).toEqual({ rounds: 3, callers: [1, 512], models: ['rec', 'iris'] })
    expect(numberOptions(['--seconds=0.5'], { seconds: 5 })).toEqual({ seconds: 0.5 })
  })

  it('are words under their older names, too', () => {
    const variants = words(['pool', 'worker'] as const, undefined, { hand: 'pool' })
    const read = (text: string) => readOptions(['--variants', text], { variants })
    expect(read('hand,worker')).toEqual({ variants: ['pool', 'worker'] })
    expect(() => read('toString')).toThrow('it should be a comma-separated list of pool, worker')
  })

  it.each([
    [['--rounds', '0'], '--rounds is 0; it should be a number above 0'],
    [['--callers', '1,x'], '--callers is 1,x; it should be a comma-separated list of numbers above 0'],
    [['--models', 'iris,no'], '--models is iris,no; it should be a comma-separated list of iris, vad6, rec'],
    [['--round', '1'], '--round'],
  ])('refuse %j', (args, message) => {
    expect(() => readOptions(args, options)).toThrow(message)
  })
})
