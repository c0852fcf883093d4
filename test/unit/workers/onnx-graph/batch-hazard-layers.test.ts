import { describe, expect, it } from 'vitest'
import {
  image,
  ints,
  microsoft,
  own,
  type PlaceCase,
  placeIn,
  rows,
  scalar,
  to,
  weights,
} from '../../../../models/synthetic/hazard-graphs.js'
import { node } from '../../../../models/synthetic/onnx-builder.js'

describe('the batch axis', () => {
  it.each<[string, number | 'refused' | 'none', PlaceCase]>([
    [
      'ReduceSum that drops an axis',
      1,
      { nodes: [to('ReduceSum', ['a'], { keepdims: 0 })], constants: [ints('a', 0)], batch: 2 },
    ],
    [
      'ReduceSum over unknown axes',
      'refused',
      { nodes: [to('ReduceSum', ['w'])], constants: [weights('w', 1)] },
    ],
    ['ArgMax that drops an axis', 1, { nodes: [to('ArgMax', [], { axis: 0, keepdims: 0 })], batch: 2 }],
    ['OneHot', 0, { nodes: [to('OneHot', ['scalar', 'w'])], constants: [scalar, weights('w', 2)] }],
    [
      'OneHot in front',
      1,
      { nodes: [to('OneHot', ['scalar', 'w'], { axis: 0 })], constants: [scalar, weights('w', 2)] },
    ],
    ['Compress of columns', 0, { nodes: [to('Compress', ['w'], { axis: 1 })], constants: [weights('w', 3)] }],
    ['Det', 0, { nodes: [to('Det')] }],
    ['DFT', 0, { nodes: [to('DFT')] }],
    ['DFT of version 20', 0, { nodes: [to('DFT', ['', 'a'])], constants: [ints('a', -2)], opset: 20 }],
    [
      'MatMul from the left',
      2,
      { nodes: [node('MatMul', ['w', 'x'], ['m'])], constants: [weights('w', 5, 3)], batch: 2 },
    ],
    [
      'MatMul from the left with a vector',
      1,
      { nodes: [node('MatMul', ['w', 'x'], ['m'])], constants: [weights('w', 3)], batch: 2 },
    ],
    [
      'MatMul with more axes',
      2,
      { nodes: [to('MatMul', ['w'])], dims: rows, constants: [weights('w', 6, 5, 4, 2)] },
    ],
    ['MatMul with what is unclear', 'refused', { nodes: [{ ...own, outputs: ['u'] }, to('MatMul', ['u'])] }],
    [
      'QLinearMatMul',
      0,
      {
        nodes: [to('QLinearMatMul', ['s', 's', 'w', 's', 's', 's', 's'])],
        constants: [weights('s'), weights('w', 4, 2)],
      },
    ],
    [
      'FusedMatMul',
      1,
      {
        nodes: [microsoft(node('FusedMatMul', ['w', 'x'], ['m'], { transB: 1 }))],
        dims: rows,
        constants: [weights('w', 5, 4)],
      },
    ],
    ['MatMulNBits', 0, { nodes: [microsoft(to('MatMulNBits', ['w']))], constants: [weights('w', 4)] }],
    [
      'Gemm from the left',
      1,
      {
        nodes: [node('Gemm', ['w', 'x'], ['m'], { transB: 1 })],
        dims: rows,
        constants: [weights('w', 5, 4)],
      },
    ],
    [
      'Gemm with rows to add',
      0,
      {
        nodes: [node('Gemm', ['w', 'v', 'x'], ['m'])],
        dims: rows,
        constants: [weights('w', 1, 5), weights('v', 5, 4)],
      },
    ],
    [
      'Einsum',
      2,
      { nodes: [to('Einsum', ['w'], { equation: 'bij,jk->kib' })], constants: [weights('w', 4, 2)] },
    ],
    [
      'Einsum with an ellipsis',
      'refused',
      { nodes: [to('Einsum', ['w'], { equation: '...j,jk->...k' })], constants: [weights('w', 4, 2)] },
    ],
    [
      'ConvTranspose',
      0,
      { nodes: [to('ConvTranspose', ['w'])], dims: image, constants: [weights('w', 3, 2, 2, 2)] },
    ],
    ['Conv with filters of the rows', 'refused', { nodes: [to('Conv', ['x'])], dims: image }],
    ['GridSample', 0, { nodes: [to('GridSample', ['x'])], dims: image }],
    ['STFT', 0, { nodes: [to('STFT', ['scalar'])], constants: [scalar] }],
    ['LRN', 0, { nodes: [to('LRN', [], { size: 3 })], dims: image }],
    ['Attention', 0, { nodes: [microsoft(to('MultiHeadAttention', ['x', 'x']))] }],
    [
      'EmbedLayerNormalization',
      0,
      {
        nodes: [microsoft(to('EmbedLayerNormalization', ['', 'w']))],
        dims: rows,
        constants: [weights('w', 9, 2)],
      },
    ],
    [
      'GRU',
      2,
      { nodes: [node('GRU', ['x', 'w', 'w'], ['m'])], constants: [weights('w', 1, 6, 4)], batch: 1 },
    ],
    [
      'RNN with states of the rows alone',
      1,
      {
        nodes: [node('RNN', ['s', 'w', 'w', '', '', 'x'], ['o', 'm'])],
        constants: [weights('s', 5, 1, 4), weights('w', 1, 4, 4)],
        batch: 1,
      },
    ],
    [
      'RNN with weights of the rows',
      'refused',
      {
        nodes: [node('RNN', ['s', 'x', 'w'], ['m'])],
        constants: [weights('s', 5, 1, 4), weights('w', 1, 4, 4)],
      },
    ],
    [
      'ReverseSequence with lengths of the rows',
      1,
      {
        nodes: [node('ReverseSequence', ['w', 'x'], ['m'])],
        dims: ['batch'],
        constants: [weights('w', 5, 1)],
      },
    ],
    ['an unknown operator', 'refused', { nodes: [own] }],
    [
      'SequenceAt',
      1,
      {
        nodes: [node('SplitToSequence', ['x'], ['s']), node('SequenceAt', ['s', 'scalar'], ['m'])],
        constants: [scalar],
        batch: 1,
      },
    ],
  ])('is followed through %s: %s', (_, place, spec) => {
    expect(placeIn(spec)).toBe(place)
  })
})
