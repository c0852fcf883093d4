import { expect, it } from 'vitest'
import { integerQuotient } from '../../../../models/synthetic/fault-graphs.js'
import { ifGraph, loop, mlp } from '../../../../models/synthetic/graphs.js'
import { chain, ints } from '../../../../models/synthetic/hazard-graphs.js'
import { constant, dataTypes, model, node, value } from '../../../../models/synthetic/onnx-builder.js'
import { tempRepository } from '../../../../models/synthetic/temp-repository.js'
import type { Signature } from '../../../../src/tensors/tensor.js'
import { hazardsIn } from '../../../../workers/onnx/hazards-in.js'

/** Returns the hazard of values that no caller has sent, for inputs of these types. */
function hazardOf(
  bytes: Uint8Array,
  types: Readonly<Record<string, 'float32' | 'int64'>> = { x: 'float32' },
): string | undefined {
  using repository = tempRepository({ model: { 1: bytes } })
  const inputs = Object.entries(types).map(([name, type]) => ({ name, type, dims: [] }))
  return hazardsIn(
    repository.path('model', '1'),
    { inputs, outputs: [] } as Signature,
    () => undefined,
  ).ofMadeUp()
}

const { int32, int64, float32 } = dataTypes

it.each<[string, Uint8Array, Readonly<Record<string, 'float32' | 'int64'>>?]>([
  ['a quotient of numbers that were cast', integerQuotient(), { a: 'float32', b: 'float32' }],
  [
    'a remainder of an integer input',
    model({
      inputs: [value('x', 'int64', ['batch'])],
      outputs: [value('y', 'int64')],
      nodes: [node('Add', ['x', 'one'], ['more']), node('Mod', ['ten', 'more'], ['y'])],
      initializers: [ints('one', 1), ints('ten', 10)],
    }),
    { x: 'int64' },
  ],
  [
    'a size that was cast',
    chain(['batch'], [node('Cast', ['x'], ['n'], { to: int64 }), node('ConstantOfShape', ['n'], ['y'])]),
  ],
  ['a loop as long as an input says', loop(), { trips: 'int64', x: 'float32' }],
  [
    'a quotient in a branch',
    chain(
      ['batch'],
      [
        node('Cast', ['x'], ['i'], { to: int32 }),
        node('If', ['yes'], ['y'], {
          then_branch: { graph: { outputs: [value('q', 'int32')], nodes: [node('Div', ['i', 'i'], ['q'])] } },
          else_branch: { graph: { outputs: [value('j', 'int32')], nodes: [node('Identity', ['i'], ['j'])] } },
        }),
      ],
      { initializers: [{ name: 'yes', type: 'bool', dims: [], bytes: Uint8Array.of(1) }] },
    ),
  ],
])('%s is a hazard for made-up rows', (_, bytes, types) => {
  expect(hazardOf(bytes, types)).toMatch(/works with integers that depend on an input/)
})

it.each<[string, Uint8Array, Readonly<Record<string, 'float32' | 'int64'>>?]>([
  ['a quotient of floats', chain(['batch'], [node('Div', ['x', 'x'], ['y'])])],
  ['a network', mlp()],
  ['a branch', ifGraph(), { x: 'float32' }],
  [
    'what integers look up, beside a quotient of floats',
    model({
      inputs: [value('x', 'int64', ['batch'])],
      outputs: [value('y', 'float32')],
      nodes: [
        node('Gather', ['table', 'x'], ['row']),
        node('Shape', ['x'], ['size']),
        node('Cast', ['size'], ['n'], { to: float32 }),
        node('Div', ['row', 'n'], ['y']),
      ],
      initializers: [constant('table', [3], Float32Array.of(1, 2, 3))],
    }),
    { x: 'int64' },
  ],
])('%s is no hazard for made-up rows', (_, bytes, types) => {
  expect(hazardOf(bytes, types)).toBeUndefined()
})
