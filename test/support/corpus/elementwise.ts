import { type DataType, dataTypes } from '../../../models/synthetic/onnx-builder.js'
import { float, floats, int, ints, line, one, type Part, safe, typed, unsafe, weights } from './case.js'

const unary =
  'Abs Ceil Cos Elu Erf Exp Floor Identity LeakyRelu Log Neg Reciprocal Relu Round Selu Sigmoid Sign Sin Softplus Softsign Sqrt Tanh'
const types: readonly DataType[] = ['float64', 'float16', 'int32', 'int64', 'uint8', 'bool', 'string']

/** Returns a constant of ones of the type. */
const onesOf = (type: 'float64' | 'int32' | 'int64' | 'uint8', length: number): ReturnType<typeof typed> => {
  const data = {
    float64: () => new Float64Array(length).fill(1),
    int32: () => new Int32Array(length).fill(1),
    int64: () => new BigInt64Array(length).fill(1n),
    uint8: () => new Uint8Array(length).fill(1),
  }
  return typed(type, 'c', [length], data[type]())
}

export const elementwise: readonly Part[] = [
  ...unary.split(' ').map((op) => safe(op, one(op))),
  ...['Add', 'Sub', 'Mul', 'Div', 'Max', 'Min'].flatMap((op) => [
    safe(`${op} of columns`, one(op, {}, [floats('c', 1, 2, 3, 4, 5)])),
    safe(`${op} of a constant with one row`, one(op, {}, [weights('c', 1, 3, 5)])),
    unsafe(`${op} of a constant with three rows`, one(op, {}, [weights('c', 3, 1, 1)])),
  ]),
  unsafe('Mul of a constant with three rows, of which the first is kept', {
    nodes: line(['Mul', {}, ['c']], ['Gather', { axis: 0 }, ['i']], ['Add', {}, ['x']]),
    constants: [weights('c', 3, 1, 1), ints('i', 0)],
  }),
  ...types.map((type) => safe(`Identity of ${type}`, { ...one('Identity'), type, gives: type })),
  ...(['float64', 'int32', 'int64', 'uint8'] as const).map((type) =>
    safe(`Mul of ${type}`, {
      ...one(type === 'uint8' ? 'Add' : 'Mul', {}, [onesOf(type, 5)]),
      type,
      gives: type,
      opset: 17,
    }),
  ),
  ...(['bool', 'int32', 'int64', 'uint8', 'float64', 'float16'] as const).map((type) =>
    safe(`Cast to ${type}`, {
      nodes: line(['Clip', {}, ['low', 'high']], ['Cast', { to: dataTypes[type] }]),
      constants: [float('low', 0), float('high', 100)],
      gives: type,
    }),
  ),
  safe('Not', { ...one('Not'), type: 'bool', gives: 'bool' }),
  safe('IsNaN', { nodes: line(['Log'], ['IsNaN']), gives: 'bool' }),
  safe('Greater', { ...one('Greater', {}, [float('c', 0)]), gives: 'bool' }),
  safe('Clip', one('Clip', {}, [float('low', -1), float('high', 1)])),
  safe('PRelu', one('PRelu', {}, [floats('c', 1, 2, 3, 4, 5)])),
  safe('Where', {
    nodes: line(['Greater', {}, ['zero']], ['Where', {}, ['x', 'zero']]),
    constants: [float('zero', 0)],
  }),
  safe('Equal', { ...one('Equal', {}, [int('c', 1)]), type: 'int64', below: 3, gives: 'bool' }),
  safe('Dropout', one('Dropout')),
  safe('QuantizeLinear', { ...one('QuantizeLinear', {}, [float('scale', 0.1)]), gives: 'uint8' }),
  safe('QuantizeLinear by columns', {
    ...one('QuantizeLinear', { axis: 2 }, [floats('scale', 1, 2, 3, 4, 5)]),
    gives: 'uint8',
  }),
  unsafe('DynamicQuantizeLinear', {
    nodes: [{ op: 'DynamicQuantizeLinear', inputs: ['x'], outputs: ['y', 'scale', 'point'] }],
    gives: 'uint8',
  }),
  unsafe('DynamicQuantizeLinear and back', {
    nodes: [
      { op: 'DynamicQuantizeLinear', inputs: ['x'], outputs: ['q', 'scale', 'point'] },
      { op: 'DequantizeLinear', inputs: ['q', 'scale', 'point'], outputs: ['y'] },
    ],
  }),
  unsafe('RandomNormalLike', { nodes: line(['RandomNormalLike'], ['Add', {}, ['x']]) }),
  unsafe('each row and every other', {
    nodes: [
      { op: 'Unsqueeze', inputs: ['x', 'zero'], outputs: ['a'] },
      { op: 'Unsqueeze', inputs: ['x', 'first'], outputs: ['b'] },
      { op: 'Sub', inputs: ['a', 'b'], outputs: ['d'] },
      { op: 'ReduceSum', inputs: ['d', 'first'], outputs: ['y'], attributes: { keepdims: 0 } },
    ],
    constants: [ints('zero', 0), ints('first', 1)],
  }),
]
