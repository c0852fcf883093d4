import { describe, expect, it } from 'vitest'
import { signatureProblems } from '../../../src/tensors/signature-problems.js'
import type { TensorSpec } from '../../../src/tensors/tensor.js'
import { spec } from '../../support/signatures.js'

const io = (inputs: TensorSpec[], outputs: TensorSpec[]) => ({ inputs, outputs })
const from = io([spec('x', 'float32', '', 3), spec('sr', 'int64')], [spec('y', 'float32', '')])

describe('the signatures of two versions', () => {
  it('are compatible when names and types agree, whatever the shapes and the order', () => {
    const to = io(
      [spec('sr', 'int64', 1), spec('x', 'float32', 1, 5)],
      [spec('y', 'float32'), spec('z', 'int8')],
    )
    expect(signatureProblems(from, to)).toEqual([])
    expect(signatureProblems(from, from)).toEqual([])
  })

  it('are incompatible when an input is missing, new or of another type', () => {
    const to = io([spec('x', 'float16', '', 3), spec('rate', 'int64')], from.outputs.slice())
    expect(signatureProblems(from, to)).toEqual([
      'input "x" changes from float32 to float16',
      'input "sr" is missing',
      'input "rate" (int64 scalar) is new',
    ])
  })

  it('are incompatible when an output is missing or of another type', () => {
    expect(signatureProblems(from, io([...from.inputs], []))).toEqual(['output "y" is missing'])
    expect(signatureProblems(from, io([...from.inputs], [spec('y', 'float64')]))).toEqual([
      'output "y" changes from float32 to float64',
    ])
  })

  it('may contain names of Object.prototype', () => {
    const odd = io([spec('__proto__', 'int8'), spec('constructor', 'int8')], [])
    expect(signatureProblems(odd, odd)).toEqual([])
    expect(signatureProblems(io([spec('constructor', 'int8')], []), io([], []))).toEqual([
      'input "constructor" is missing',
    ])
  })
})
