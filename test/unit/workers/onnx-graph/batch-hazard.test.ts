import { describe, expect, it } from 'vitest'
import {
  dynamicInt8,
  firstRowOnly,
  innerReshapeToOne,
  reduceMaxOverBatch,
  softmaxOverBatch,
  valueDependent,
} from '../../../../models/synthetic/graphs.js'
import {
  chain,
  cube,
  hazardOf,
  image,
  inner,
  ints,
  microsoft,
  norm,
  one,
  rows,
  unclearThen,
  weights,
} from '../../../../models/synthetic/hazard-graphs.js'
import { node } from '../../../../models/synthetic/onnx-builder.js'

describe('a model that must not be batched', () => {
  it.each<[string, Uint8Array, string]>([
    ['reduceMaxOverBatch', reduceMaxOverBatch(), 'ReduceMax "ReduceMax_0" reduces over the batch axis'],
    ['softmaxOverBatch', softmaxOverBatch(), 'Softmax "Softmax_0" normalises over the batch axis'],
    [
      'valueDependent',
      valueDependent(),
      'ReduceMax "ReduceMax_0" reduces over all axes, the batch axis among them',
    ],
    [
      'dynamicInt8',
      dynamicInt8(),
      'DynamicQuantizeLinear "DynamicQuantizeLinear_0" quantises with one scale for the whole batch',
    ],
    ['firstRowOnly', firstRowOnly(), 'Gather "Gather_0" takes rows of the batch by their place'],
    ['innerReshapeToOne', innerReshapeToOne(), 'Slice "Slice_1" takes a part of the batch axis'],
  ])('%s is refused with the node and its operator', (_, bytes, reason) => {
    expect(hazardOf(bytes)).toBe(reason)
  })

  it.each<[string, Uint8Array]>([
    ['ReduceSum with axes as an input', one('ReduceSum', rows, {}, [ints('axes', 0)])],
    ['ReduceMean over a negative axis', one('ReduceMean', cube, { axes: [-3] })],
    ['ReduceMin with no axes and keepdims 0', one('ReduceMin', rows, { keepdims: 0 })],
    ['ReduceL2 with an empty list of axes', one('ReduceL2', rows, { axes: [] })],
    ['ArgMax, whose axis is 0 by default', one('ArgMax', rows)],
    ['ArgMin over axis -2', one('ArgMin', rows, { axis: -2 })],
    ['TopK along axis 0', one('TopK', rows, { axis: 0 }, [ints('k', 1)])],
    ['CumSum along axis 0', one('CumSum', rows, {}, [ints('axis', 0)])],
    ['CumSum along axis -2', one('CumSum', rows, {}, [ints('axis', -2)])],
    ['LogSoftmax over axis -2', one('LogSoftmax', rows, { axis: -2 })],
    ['Hardmax over axis 0', one('Hardmax', rows, { axis: 0 })],
    ['Softmax of version 11 from axis 0 on', one('Softmax', cube, { axis: 0 }, [], 11)],
    ['Softmax of version 11 from axis -2 on, of rank 2', one('Softmax', rows, { axis: -2 }, [], 11)],
    ['Softmax of version 13 of what has one axis', one('Softmax', ['batch'])],
    ['LpNormalization', one('LpNormalization', rows, { axis: 0 })],
    ['MeanVarianceNormalization by default', one('MeanVarianceNormalization', image)],
    ['LayerNormalization from axis 0 on', one('LayerNormalization', rows, { axis: 0 }, [weights('s', 4)])],
    ['LayerNormalization from axis -2 on', one('LayerNormalization', rows, { axis: -2 }, [weights('s', 4)])],
    ['Unique', one('Unique', rows)],
    ['NonZero', one('NonZero', rows)],
    ['Compress along axis 0', one('Compress', rows, { axis: 0 }, [ints('condition', 1)])],
    ['Compress of everything', one('Compress', rows, {}, [ints('condition', 1)])],
    ['ReverseSequence along the batch', one('ReverseSequence', rows, {}, [ints('lengths', 1)])],
    [
      'Slice that reverses the batch',
      one('Slice', rows, {}, [ints('s', -1), ints('e', -99), ints('a', 0), ints('t', -1)]),
    ],
    ['Slice of the first row', one('Slice', rows, {}, [ints('s', 0), ints('e', 1), ints('a', -2)])],
    ['Slice of version 9', one('Slice', rows, { starts: [1], ends: [2 ** 31 - 1], axes: [0] }, [], 9)],
    [
      'GatherElements with indices of the rows',
      chain(rows, [
        node('Cast', ['x'], ['i'], { to: 7 }),
        node('GatherElements', ['x', 'i'], ['y'], { axis: 0 }),
      ]),
    ],
    [
      'Gather with indices of the rows',
      chain(rows, [node('ArgMax', ['x'], ['i'], { axis: 1 }), node('Gather', ['x', 'i'], ['y'])]),
    ],
    ['training BatchNormalization', one('BatchNormalization', image, { training_mode: 1 }, norm())],
    [
      'BatchNormalization of version 9 with all its outputs',
      chain(
        image,
        [node('BatchNormalization', ['x', 's', 'b', 'm', 'v'], ['y', 'mean', 'var', 'sm', 'sv'])],
        { initializers: norm(), opset: 9 },
      ),
    ],
    [
      'InstanceNormalization with the batch among the pixels',
      chain(
        rows,
        [node('Unsqueeze', ['x', 'two'], ['wide']), node('InstanceNormalization', ['wide', 's', 'b'], ['y'])],
        { initializers: [ints('two', 0, 1), ...norm().slice(0, 2)] },
      ),
    ],
    [
      'LSTM that steps along the batch',
      one('LSTM', cube, { hidden_size: 2 }, [weights('w', 1, 8, 4), weights('r', 1, 8, 2)]),
    ],
    [
      'MatMul that sums over the batch on the right',
      chain(rows, [node('MatMul', ['w', 'x'], ['y'])], {
        initializers: [weights('w', 4, 8)],
      }),
    ],
    [
      'MatMul with its own transpose',
      chain(rows, [node('Transpose', ['x'], ['t']), node('MatMul', ['x', 't'], ['y'])]),
    ],
    [
      'MatMul that sums over the batch on the left',
      chain(rows, [node('Transpose', ['x'], ['t']), node('MatMul', ['t', 'w'], ['y'])], {
        initializers: [weights('w', 8, 2)],
      }),
    ],
    ['MatMul of vectors', chain(['batch'], [node('MatMul', ['x', 'x'], ['y'])])],
    [
      'Gemm with transA',
      chain(rows, [node('Gemm', ['x', 'w'], ['y'], { transA: 1 })], { initializers: [weights('w', 8, 2)] }),
    ],
    [
      'Einsum that sums over the batch',
      chain(rows, [node('Einsum', ['x', 'x'], ['y'], { equation: 'bi,bj->ij' })]),
    ],
    [
      'Einsum of rows with each other',
      chain(rows, [node('Einsum', ['x', 'x'], ['y'], { equation: 'bi, ci -> bc' })]),
    ],
    [
      'Sub of each row and every other',
      chain(
        rows,
        [
          node('Unsqueeze', ['x', 'zero'], ['a']),
          node('Unsqueeze', ['x', 'first'], ['b']),
          node('Sub', ['a', 'b'], ['y']),
        ],
        { initializers: [ints('zero', 0), ints('first', 1)] },
      ),
    ],
    [
      'Transpose, then a reduction over the new place',
      chain(
        cube,
        [node('Transpose', ['x'], ['t'], { perm: [1, 2, 0] }), node('ReduceSum', ['t', 'last'], ['y'])],
        { initializers: [ints('last', -1)] },
      ),
    ],
    [
      'Flatten into one row, then Softmax',
      chain(rows, [node('Flatten', ['x'], ['f'], { axis: 0 }), node('Softmax', ['f'], ['y'], { axis: -1 })]),
    ],
    [
      'a shape made of others, then a reduction',
      chain(
        cube,
        [
          node('Shape', ['x'], ['s']),
          node('Gather', ['s', 'zero'], ['n']),
          node('Concat', ['one', 'n', 'rest'], ['shape'], { axis: 0 }),
          node('Reshape', ['x', 'shape'], ['r']),
          node('ReduceMean', ['r'], ['y'], { axes: [1] }),
        ],
        { initializers: [ints('zero', 0), ints('one', 1), ints('rest', -1)] },
      ),
    ],
    ['NonMaxSuppression', one('NonMaxSuppression', cube, {}, [weights('scores', 1, 1, 3)])],
    [
      'DynamicQuantizeMatMul',
      chain(rows, [microsoft(node('DynamicQuantizeMatMul', ['x', 'w', 's'], ['y']))], {
        initializers: [weights('w', 4, 4), weights('s')],
      }),
    ],
    [
      'DynamicQuantizeLSTM',
      chain(cube, [microsoft(node('DynamicQuantizeLSTM', ['x', 'w', 'r'], ['y']))], {
        initializers: [weights('w', 1, 8, 4), weights('r', 1, 8, 2)],
      }),
    ],
    [
      'SkipLayerNormalization of one axis',
      chain(['batch'], [microsoft(node('SkipLayerNormalization', ['x', 'x'], ['y']))]),
    ],
    [
      'an unclear tensor that is reduced over axis 0',
      unclearThen(node('ReduceMax', ['u'], ['y'], { axes: [0, 2] })),
    ],
    ['an unclear tensor that is reduced altogether', unclearThen(node('ReduceMax', ['u'], ['y']))],
    [
      'an unclear tensor that is quantised dynamically',
      unclearThen(node('DynamicQuantizeLinear', ['u'], ['y', 's', 'z'])),
    ],
    [
      'an unclear tensor that decides about a branch',
      unclearThen(
        node('If', ['u'], ['y'], {
          then_branch: { graph: inner('Relu') },
          else_branch: { graph: inner('Neg') },
        }),
      ),
    ],
  ])('%s is refused', (_, bytes) => {
    expect(hazardOf(bytes)).toMatch(/^\w+ "\w+" .*(batch|rows)/)
  })
})
