import { type NodeSpec, node } from '../../../models/synthetic/onnx-builder.js'
import { floats, ints, one, type Part, safe, unsafe, weights } from './case.js'

const of = (domain: string, spec: NodeSpec): NodeSpec => ({ ...spec, domain })
const microsoft = (op: string, inputs: readonly string[], attributes = {}): Pick<Part, 'nodes'> => ({
  nodes: [of('com.microsoft', node(op, inputs, ['y'], attributes))],
})
const learned = (op: string, attributes = {}): Pick<Part, 'nodes'> => ({
  nodes: [of('ai.onnx.ml', node(op, ['x'], ['y'], attributes))],
})

/** Operators of other domains than that of ONNX. */
export const domains: readonly Part[] = [
  safe('BiasGelu', { ...microsoft('BiasGelu', ['x', 'b']), constants: [floats('b', 1, 2, 3, 4, 5)] }),
  safe('QuickGelu', microsoft('QuickGelu', ['x'])),
  safe('SkipLayerNormalization', {
    ...microsoft('SkipLayerNormalization', ['x', 'x', 's']),
    constants: [weights('s', 5)],
  }),
  safe('FusedMatMul', {
    ...microsoft('FusedMatMul', ['x', 'w'], { transB: 1 }),
    constants: [weights('w', 4, 5)],
  }),
  safe('MultiHeadAttention', {
    ...microsoft('MultiHeadAttention', ['x', 'x', 'x'], { num_heads: 2 }),
    dims: ['batch', 3, 4],
  }),
  unsafe('MultiHeadAttention of the transposed batch', {
    nodes: [
      node('Transpose', ['x'], ['t'], { perm: [1, 0, 2] }),
      of('com.microsoft', node('MultiHeadAttention', ['t', 't', 't'], ['m'], { num_heads: 2 })),
      node('Transpose', ['m'], ['y'], { perm: [1, 0, 2] }),
    ],
    dims: ['batch', 3, 4],
  }),
  unsafe('DynamicQuantizeMatMul', {
    ...microsoft('DynamicQuantizeMatMul', ['x', 'w', 's']),
    constants: [
      {
        name: 'w',
        type: 'int8',
        dims: [5, 2],
        bytes: new Uint8Array(Int8Array.from({ length: 10 }, (_, at) => at - 5).buffer),
      },
      floats('s', 0.5),
    ],
  }),
  unsafe('an operator that is not known', {
    nodes: [
      of('com.microsoft', node('CDist', ['x', 'x'], ['d'])),
      node('ReduceMean', ['d'], ['y'], { axes: [1] }),
    ],
    dims: ['batch', 5],
  }),
  safe('Scaler', {
    ...learned('Scaler', { offset: { floats: [1, 2, 3] }, scale: { floats: [2, 2, 2] } }),
    dims: ['batch', 3],
  }),
  safe('Normalizer', { ...learned('Normalizer', { norm: 'L2' }), dims: ['batch', 3] }),
  safe('LinearRegressor', {
    ...learned('LinearRegressor', { coefficients: { floats: [1, 2, 3] }, intercepts: { floats: [1] } }),
    dims: ['batch', 3],
  }),
  safe('Binarizer', { ...learned('Binarizer', { threshold: { float: 0 } }), dims: ['batch', 3] }),
  unsafe('Normalizer of the transposed batch', {
    nodes: [
      node('Transpose', ['x'], ['t']),
      of('ai.onnx.ml', node('Normalizer', ['t'], ['n'], { norm: 'L1' })),
      node('Transpose', ['n'], ['y']),
    ],
    dims: ['batch', 3],
  }),
  unsafe('Unsqueeze and Multinomial', {
    ...one('Multinomial', { dtype: 7 }),
    dims: ['batch', 3],
    gives: 'int64',
  }),
  safe('rows with a state on another axis', {
    nodes: [
      node('Transpose', ['state'], ['s'], { perm: [1, 0, 2] }),
      node('ReduceMean', ['s'], ['m'], { axes: [1], keepdims: 0 }),
      node('Add', ['x', 'm'], ['y']),
      node('Add', ['state', 'c'], ['next']),
    ],
    dims: ['batch', 5],
    more: [{ name: 'state', type: 'float32', dims: [2, 'batch', 5] }],
    constants: [floats('c', 1)],
    outputs: ['y', 'next'],
  }),
  safe('a mask', {
    nodes: [node('Unsqueeze', ['mask', 'a'], ['m']), node('Mul', ['x', 'm'], ['y'])],
    more: [{ name: 'mask', type: 'float32', dims: ['batch', 3] }],
    constants: [ints('a', 2)],
  }),
]
