import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { ifGraph, innerConcat, loop, mlp, reduceMaxOverBatch } from '../../../../models/synthetic/graphs.js'
import {
  chain,
  cube,
  hazardOf,
  image,
  ints,
  norm,
  one,
  rows,
  weights,
} from '../../../../models/synthetic/hazard-graphs.js'
import { node } from '../../../../models/synthetic/onnx-builder.js'
import {
  layerNormNode,
  layerNormOps,
  type Norm,
  skipLayerNorm,
  transformer,
} from '../../../../models/synthetic/transformer-graph.js'
import { batchHazard } from '../../../../workers/onnx-graph/batch-hazard.js'
import { readGraph } from '../../../../workers/onnx-graph/file/read-graph.js'

describe('a model that may be batched', () => {
  const models = fileURLToPath(new URL('../../../../models/repository/', import.meta.url))

  it.each<[string, Readonly<Record<string, number>>]>([
    ['vad/4', { input: 0, h: 1, c: 1 }],
    ['vad/5', { input: 0, state: 1 }],
    ['vad/6', { input: 0, state: 1 }],
    ['ocr-det/4', { x: 0 }],
    ['ocr-rec/4', { x: 0 }],
    ['ocr-cls/2', { x: 0 }],
    ['detypify/0.2.4', { 'input.1': 0 }],
  ])('%s is not refused', (path, axes) => {
    const graph = readGraph(`${models}${path}/model.onnx`)
    expect(batchHazard(graph, new Map(Object.entries(axes)))).toBeUndefined()
  })

  it('is refused if the batch is declared on another axis', () => {
    expect(batchHazard(readGraph(`${models}vad/4/model.onnx`), new Map([['h', 0]]))).toMatch(
      /^Slice .* takes a part of the batch axis$/,
    )
  })

  it.each<[string, Uint8Array]>([
    ['mlp', mlp()],
    ['innerConcat, which a run refuses', innerConcat()],
    ['ifGraph', ifGraph()],
    ['ReduceMean over the last axis', one('ReduceMean', cube, { axes: [-1], keepdims: 0 })],
    ['ReduceSum that does nothing', one('ReduceSum', rows, { noop_with_empty_axes: 1 })],
    ['Softmax of version 11 by default', one('Softmax', cube, {}, [], 11)],
    ['Softmax by default', one('Softmax', cube)],
    ['TopK by default', one('TopK', rows, {}, [ints('k', 1)])],
    ['CumSum along axis 1', one('CumSum', rows, {}, [ints('axis', 1)])],
    ['ArgMax over axis 1', one('ArgMax', rows, { axis: 1 })],
    [
      'ReverseSequence of rows',
      one('ReverseSequence', rows, { batch_axis: 0, time_axis: 1 }, [ints('lengths', 1)]),
    ],
    ['a Slice of all rows', one('Slice', rows, {}, [ints('s', 0), ints('e', 2 ** 40), ints('a', 0)])],
    ['a Slice of columns', one('Slice', rows, {}, [ints('s', 1), ints('e', 2), ints('a', -1)])],
    ['a Gather of columns', one('Gather', cube, { axis: 1 }, [ints('i', 0)])],
    [
      'a Gather of embeddings',
      chain(rows, [node('Gather', ['table', 'x'], ['e']), node('ReduceMean', ['e'], ['y'], { axes: [1] })], {
        initializers: [weights('table', 9, 2)],
      }),
    ],
    ['BatchNormalization', one('BatchNormalization', image, {}, norm())],
    ['InstanceNormalization', one('InstanceNormalization', image, {}, norm().slice(0, 2))],
    [
      'Conv and GlobalAveragePool',
      chain(
        image,
        [
          node('Conv', ['x', 'w'], ['c']),
          node('GlobalAveragePool', ['c'], ['p']),
          node('Flatten', ['p'], ['f']),
          node('Gemm', ['f', 'dense'], ['g'], { transB: 1 }),
          node('Softmax', ['g'], ['y']),
        ],
        { initializers: [weights('w', 5, 3, 3, 3), weights('dense', 2, 5)] },
      ),
    ],
    [
      'a reduction of what only has the shape of the batch',
      chain(rows, [
        node('Shape', ['x'], ['s']),
        node('ConstantOfShape', ['s'], ['zeros']),
        node('ReduceMax', ['zeros'], ['m'], { keepdims: 0 }),
        node('Add', ['x', 'm'], ['y']),
      ]),
    ],
    ['MatMul with weights on the right', one('MatMul', rows, {}, [weights('w', 4, 2)])],
    ['MatMul with a vector', one('MatMul', rows, {}, [weights('w', 4)])],
    [
      'MatMul of a vector and matrices',
      chain(cube, [node('MatMul', ['v', 'x'], ['m']), node('Softmax', ['m'], ['y'])], {
        initializers: [weights('v', 3)],
      }),
    ],
    [
      'Einsum of rows with themselves',
      chain(cube, [
        node('Einsum', ['x', 'x'], ['e'], { equation: 'bij,bkj->bik' }),
        node('Softmax', ['e'], ['y']),
      ]),
    ],
    ['static quantisation', one('QuantizeLinear', rows, {}, [weights('scale')])],
    [
      'dynamic quantisation of constants',
      chain(rows, [node('DynamicQuantizeLinear', ['w'], ['q', 's', 'z']), node('Add', ['x', 's'], ['y'])], {
        initializers: [weights('w', 4)],
      }),
    ],
  ])('%s is not refused', (_, bytes) => {
    expect(hazardOf(bytes)).toBeUndefined()
  })

  it.each<[string, Norm]>([
    ['operators of its own', layerNormOps],
    ['LayerNormalization', layerNormNode],
    ['SkipLayerNormalization', skipLayerNorm],
  ])('a BERT block normalised by %s is not refused, and followed to its end', (_, normalise) => {
    const axes = { x: 0, mask: 0 }
    expect(hazardOf(transformer(normalise), axes)).toBeUndefined()
    expect(hazardOf(transformer(normalise, 0), axes)).toMatch(/^Softmax .* normalises over the batch axis$/)
  })

  it('may have inputs that all rows share', () => {
    expect(hazardOf(reduceMaxOverBatch(), {})).toBeUndefined()
    expect(hazardOf(loop(), {})).toBeUndefined()
    expect(hazardOf(loop(), { trips: 0 })).toMatch(/^Loop /)
  })
})
