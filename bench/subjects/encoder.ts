import {
  constant,
  type InitializerSpec,
  model,
  type NodeSpec,
  node,
  value,
} from '../../models/synthetic/onnx-builder.js'

const WIDTH = 768
const INNER = 3_072
const HEADS = 12
const LAYERS = 8
export const VOCABULARY = 24_000

/** Returns a text encoder of BERT's shape, 300 MB with random weights: x int64[batch, length] -> y float32[batch, 8]. */
export function encoder(): Uint8Array {
  const initializers: InitializerSpec[] = [
    constant('table', [VOCABULARY, WIDTH], noise(VOCABULARY * WIDTH, 1, 1)),
    constant('scale', [WIDTH], new Float32Array(WIDTH).fill(1)),
    constant('shift', [WIDTH], new Float32Array(WIDTH)),
    constant('first', [], BigInt64Array.of(0n)),
    constant('heads', [4], BigInt64Array.of(0n, 0n, BigInt(HEADS), BigInt(WIDTH / HEADS))),
    constant('whole', [3], BigInt64Array.of(0n, 0n, BigInt(WIDTH))),
    constant('root', [], Float32Array.of(Math.sqrt(WIDTH / HEADS))),
    constant('sqrt2', [], Float32Array.of(Math.SQRT2)),
    constant('one', [], Float32Array.of(1)),
    constant('half', [], Float32Array.of(0.5)),
  ]
  const nodes: NodeSpec[] = [node('Gather', ['table', 'x'], ['h0'])]
  const linear = (from: string, to: string, inputs: number, outputs: number): void => {
    const seed = initializers.length
    initializers.push(
      constant(`${to}_weight`, [inputs, outputs], noise(inputs * outputs, Math.sqrt(3 / inputs), seed)),
      constant(`${to}_bias`, [outputs], noise(outputs, 0.02, seed)),
    )
    nodes.push(
      node('MatMul', [from, `${to}_weight`], [`${to}_product`]),
      node('Add', [`${to}_product`, `${to}_bias`], [to]),
    )
  }
  const normalised = (from: string, skip: string, to: string): void => {
    nodes.push(
      node('Add', [from, skip], [`${to}_sum`]),
      node('LayerNormalization', [`${to}_sum`, 'scale', 'shift'], [to], { axis: -1 }),
    )
  }
  const inHeads = (from: string, to: string, perm: readonly number[]): void => {
    linear(from, `${to}_flat`, WIDTH, WIDTH)
    nodes.push(
      node('Reshape', [`${to}_flat`, 'heads'], [`${to}_split`]),
      node('Transpose', [`${to}_split`], [to], { perm }),
    )
  }
  for (let layer = 0; layer < LAYERS; layer += 1) {
    const layerName = (name: string): string => `${name}_${layer}`
    const from = `h${layer}`
    inHeads(from, layerName('query'), [0, 2, 1, 3])
    inHeads(from, layerName('key'), [0, 2, 3, 1])
    inHeads(from, layerName('value'), [0, 2, 1, 3])
    nodes.push(
      node('MatMul', [layerName('query'), layerName('key')], [layerName('scores')]),
      node('Div', [layerName('scores'), 'root'], [layerName('scaled')]),
      node('Softmax', [layerName('scaled')], [layerName('attention')], { axis: -1 }),
      node('MatMul', [layerName('attention'), layerName('value')], [layerName('mixed')]),
      node('Transpose', [layerName('mixed')], [layerName('back')], { perm: [0, 2, 1, 3] }),
      node('Reshape', [layerName('back'), 'whole'], [layerName('merged')]),
    )
    linear(layerName('merged'), layerName('attended'), WIDTH, WIDTH)
    normalised(layerName('attended'), from, layerName('middle'))
    linear(layerName('middle'), layerName('inner'), WIDTH, INNER)
    nodes.push(
      node('Div', [layerName('inner'), 'sqrt2'], [layerName('divided')]),
      node('Erf', [layerName('divided')], [layerName('erf')]),
      node('Add', [layerName('erf'), 'one'], [layerName('shifted')]),
      node('Mul', [layerName('inner'), layerName('shifted')], [layerName('doubled')]),
      node('Mul', [layerName('doubled'), 'half'], [layerName('gelu')]),
    )
    linear(layerName('gelu'), layerName('outer'), INNER, WIDTH)
    normalised(layerName('outer'), layerName('middle'), `h${layer + 1}`)
  }
  nodes.push(node('Gather', [`h${LAYERS}`, 'first'], ['token'], { axis: 1 }))
  linear('token', 'y', WIDTH, 8)
  return model({
    inputs: [value('x', 'int64', ['batch', 'length'])],
    outputs: [value('y', 'float32', ['batch', 8])],
    nodes,
    initializers,
  })
}

/** Returns repeatable numbers between -scale and scale, by Marsaglia's xorshift of 32 bits. */
function noise(length: number, scale: number, seed: number): Float32Array {
  const numbers = new Float32Array(length)
  let state = Math.imul(seed, 2_654_435_761) >>> 0 || 1
  for (let index = 0; index < length; index += 1) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    numbers[index] = ((state >>> 0) / 2 ** 31 - 1) * scale
  }
  return numbers
}
