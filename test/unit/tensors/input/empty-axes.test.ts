import { describe, expect, it } from 'vitest'
import {
  axisSetsOf,
  type EmptyAxes,
  emptyAxesProblem,
  NOTHING_TRIED,
} from '../../../../src/tensors/input/empty-axes.js'
import type { Signature, Tensor } from '../../../../src/tensors/tensor.js'

type Dims = readonly (number | string)[]

function signatureOf(...inputs: readonly Dims[]): Signature {
  return {
    inputs: inputs.map((dims, index) => ({ name: `x${index}`, type: 'float32' as const, dims })),
    outputs: [],
  }
}

function tensor(...dims: readonly number[]): Tensor {
  return { type: 'float32', dims, data: new Float32Array(dims.reduce((count, dim) => count * dim, 1)) }
}

const SILERO = signatureOf(['', ''], [2, '', 128], [])
const DECODER = signatureOf(['b', 's'], ['b', 2, 'p', 4])

describe('the sets of axes that a trial gives size 0', () => {
  it.each<[string, Signature, string[][]]>([
    ['nothing without a free axis', signatureOf([1, 4]), []],
    ['the only free axis', signatureOf(['n', 4]), [['0.0']]],
    [
      'each axis without a name, the rows together, these with the others, and all',
      SILERO,
      [['0.0'], ['0.1'], ['1.1'], ['0.0', '1.1'], ['0.0', '0.1', '1.1']],
    ],
    [
      'the axes of one name together',
      DECODER,
      [
        ['0.0', '1.0'],
        ['0.1'],
        ['1.2'],
        ['0.0', '0.1', '1.0'],
        ['0.0', '1.0', '1.2'],
        ['0.0', '0.1', '1.0', '1.2'],
      ],
    ],
  ])('are %s', (_, signature, sets) => {
    expect(axisSetsOf(signature)).toEqual(sets)
  })

  it('are few for any number of inputs', () => {
    const many = signatureOf(...Array.from({ length: 100 }, (): Dims => ['', '', '']))
    expect(axisSetsOf(many).length).toBe(32)
  })
})

describe('a request with an axis of size 0', () => {
  const died = (...fatal: string[][]): EmptyAxes => ({ fatal, answered: [] })
  const ran = (...answered: string[][]): EmptyAxes => ({ fatal: [], answered })

  it.each<[string, Signature, Tensor[], EmptyAxes]>([
    ['with an answer to that in a trial', signatureOf(['n', 4]), [tensor(0, 4)], ran(['0.0'])],
    ['in an axis that is not of the rows', DECODER, [tensor(1, 3), tensor(1, 2, 0, 4)], NOTHING_TRIED],
    [
      'behind a size of 1, which is the row',
      signatureOf([1, 2, 'p', 4]),
      [tensor(1, 2, 0, 4)],
      NOTHING_TRIED,
    ],
    ['in an axis that is declared so', signatureOf([0, 4]), [tensor(0, 4)], NOTHING_TRIED],
    [
      'in rows and past, after an answer without rows',
      DECODER,
      [tensor(0, 3), tensor(0, 2, 0, 4)],
      ran(['0.0', '1.0']),
    ],
    [
      'in one axis, where only two together are fatal',
      DECODER,
      [tensor(1, 0), tensor(1, 2, 0, 4)],
      died(['0.0', '0.1']),
    ],
    ['in none', DECODER, [tensor(1, 3), tensor(1, 2, 1, 4)], died(['0.0', '1.0'])],
  ])('may run %s', (_, signature, tensors, known) => {
    expect(emptyAxesProblem(signature, tensors, known)).toBeUndefined()
  })

  it.each<[string, Signature, Tensor[], EmptyAxes, RegExp]>([
    [
      'rows',
      signatureOf(['n', 4]),
      [tensor(0, 4)],
      NOTHING_TRIED,
      /"x0" has size 0 along axis 0 of dims \[0, 4\].*no run/,
    ],
    [
      'rows on another axis',
      SILERO,
      [tensor(1, 576), tensor(2, 0, 128), tensor()],
      NOTHING_TRIED,
      /"x1".* axis 1/,
    ],
    ['rows by name', signatureOf([1, 'batch', 4]), [tensor(1, 0, 4)], NOTHING_TRIED, /axis 1/],
    [
      'rows by the name of others',
      signatureOf(['k', 4], [1, 'k']),
      [tensor(1, 4), tensor(1, 0)],
      NOTHING_TRIED,
      /"x1"/,
    ],
    [
      'an axis that was fatal',
      DECODER,
      [tensor(1, 3), tensor(1, 2, 0, 4)],
      died(['1.2']),
      /crashed the process/,
    ],
    [
      'more axes than were fatal',
      DECODER,
      [tensor(0, 3), tensor(0, 2, 0, 4)],
      died(['1.2']),
      /crashed the process/,
    ],
    [
      'other rows than were answered',
      DECODER,
      [tensor(0, 3), tensor(1, 2, 3, 4)],
      ran(['0.0', '1.0']),
      /"x0"/,
    ],
    ['an input without a rank', signatureOf([]), [tensor(3, 0)], NOTHING_TRIED, /"x0"/],
  ] as const)('is refused for %s', (_, signature, tensors, known, message) => {
    expect(emptyAxesProblem(signature, tensors as Tensor[], known)).toMatch(message)
  })
})
