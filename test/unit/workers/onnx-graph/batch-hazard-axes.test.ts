import { describe, expect, it } from 'vitest'
import {
  ints,
  type PlaceCase,
  placeIn,
  rows,
  scalar,
  to,
  weights,
} from '../../../../models/synthetic/hazard-graphs.js'
import { constant, type NodeSpec, node, value } from '../../../../models/synthetic/onnx-builder.js'

describe('the batch axis', () => {
  it.each<[string, number | 'refused' | 'none', PlaceCase]>([
    ['Transpose', 1, { nodes: [to('Transpose', [], { perm: [2, 0, 1] })] }],
    ['Transpose by default', 2, { nodes: [to('Transpose')] }],
    ['Transpose by default of unknown rank', 'refused', { nodes: [to('Transpose')], dims: 'undeclared' }],
    ['Unsqueeze in front', 1, { nodes: [to('Unsqueeze', ['a'])], constants: [ints('a', 0)] }],
    ['Unsqueeze of two places', 2, { nodes: [to('Unsqueeze', ['a'])], constants: [ints('a', 1, 0)] }],
    ['Unsqueeze behind', 0, { nodes: [to('Unsqueeze', ['a'])], constants: [ints('a', -1)] }],
    ['Unsqueeze of version 11', 1, { nodes: [to('Unsqueeze', [], { axes: [-4] })], opset: 11 }],
    [
      'Unsqueeze by an unknown axis',
      'refused',
      { nodes: [to('Shape'), node('Unsqueeze', ['x', 'm'], ['m'])] },
    ],
    ['Squeeze', 1, { nodes: [to('Squeeze', ['a'])], constants: [ints('a', 0)], batch: 2 }],
    ['Squeeze of unknown axes', 'refused', { nodes: [to('Squeeze')] }],
    ['Squeeze of the batch', 'refused', { nodes: [to('Squeeze', ['a'])], constants: [ints('a', 0)] }],
    [
      'Squeeze from the back',
      'refused',
      {
        nodes: [to('Squeeze', ['a'])],
        constants: [ints('a', -1)],
        dims: 'undeclared',
        batch: 1,
      },
    ],
    ['Flatten', 0, { nodes: [to('Flatten', [], { axis: 2 })] }],
    ['Flatten to one row', 1, { nodes: [to('Flatten', [], { axis: -3 })] }],
    ['Reshape that keeps it', 0, { nodes: [to('Reshape', ['s'])], constants: [ints('s', 0, 12)] }],
    ['Reshape with -1 in front', 0, { nodes: [to('Reshape', ['s'])], constants: [ints('s', -1, 4)] }],
    ['Reshape to one row', 2, { nodes: [to('Reshape', ['s'])], constants: [ints('s', 1, 1, -1)] }],
    [
      'Reshape that keeps what is in front',
      1,
      {
        nodes: [to('Reshape', ['s'])],
        constants: [ints('s', 0, 0, 2, 2)],
        batch: 1,
      },
    ],
    [
      'Reshape that takes what is behind',
      1,
      {
        nodes: [to('Reshape', ['s'])],
        constants: [ints('s', 0, -1)],
        batch: 1,
      },
    ],
    [
      'Reshape that merges what is in front',
      0,
      {
        nodes: [to('Reshape', ['s'])],
        constants: [ints('s', -1, 4)],
        batch: 1,
      },
    ],
    [
      'Reshape with a zero that means zero',
      'refused',
      {
        nodes: [to('Reshape', ['s'], { allowzero: 1 })],
        constants: [ints('s', 0, 12)],
      },
    ],
    ['Reshape to fixed sizes', 'refused', { nodes: [to('Reshape', ['s'])], constants: [ints('s', 3, 4)] }],
    [
      'Reshape to a shape of its own',
      1,
      {
        nodes: [
          to('Shape'),
          node('Slice', ['m', 'b', 'e'], ['n']),
          node('Mul', ['n', 'heads'], ['many']),
          node('Concat', ['length', 'many', 'rest'], ['s'], { axis: 0 }),
          node('Reshape', ['x', 's'], ['m']),
        ],
        constants: [ints('b', 1), ints('e', 2), ints('heads', 8), ints('length', 0), ints('rest', -1)],
        batch: 1,
      },
    ],
    [
      'Reshape that moves it forward',
      'refused',
      {
        nodes: [
          node('Shape', ['x'], ['n'], { start: 1, end: 2 }),
          node('Concat', ['n', 'rest'], ['s'], { axis: 0 }),
          node('Reshape', ['x', 's'], ['m']),
        ],
        constants: [ints('rest', -1)],
        batch: 1,
      },
    ],
    ['Expand', 1, { nodes: [to('Expand', ['s'])], dims: rows, constants: [ints('s', 5, 1, 1)] }],
    [
      'Expand to a shape that Where chooses',
      1,
      {
        nodes: [
          node('ConstantOfShape', ['four'], ['ones'], { value: { tensor: ints('', 1) } }),
          node('Equal', ['s', 'minus'], ['is']),
          node('Where', ['is', 'ones', 's'], ['shape']),
          to('Expand', ['shape']),
        ],
        constants: [ints('four', 4), ints('minus', -1), ints('s', 5, -1, 1, 1)],
      },
    ],
    ['Tile', 0, { nodes: [to('Tile', ['s'])], constants: [ints('s', 1, 2, 2)] }],
    ['Pad', 0, { nodes: [to('Pad', ['s'])], constants: [ints('s', 0, 1, 1, 0, 1, 1)] }],
    ['Add of more axes', 1, { nodes: [to('Add', ['w'])], dims: rows, constants: [weights('w', 5, 1, 1)] }],
    [
      'Where',
      1,
      { nodes: [node('Where', ['w', 'x', 'w'], ['m'])], dims: rows, constants: [weights('w', 5, 1, 4)] },
    ],
    ['CastLike', 'none', { nodes: [node('CastLike', ['w', 'x'], ['m'])], constants: [weights('w', 4)] }],
    ['Concat of columns', 0, { nodes: [to('Concat', ['x'], { axis: -1 })] }],
    ['Concat of rows', 'refused', { nodes: [to('Concat', ['x'], { axis: 0 })] }],
    ['Split of columns', 0, { nodes: [node('Split', ['x'], ['m', 'o'], { axis: 2 })] }],
    ['Split of rows', 'refused', { nodes: [node('Split', ['x'], ['m', 'o'])] }],
    ['Gather of one column', 1, { nodes: [to('Gather', ['scalar'])], constants: [scalar], batch: 2 }],
    [
      'Gather of columns',
      3,
      {
        nodes: [to('Gather', ['w'])],
        constants: [constant('w', [1, 2], BigInt64Array.of(0n, 1n))],
        batch: 2,
      },
    ],
    [
      'Gather from a table',
      1,
      { nodes: [node('Gather', ['w', 'x'], ['m'], { axis: -1 })], constants: [weights('w', 2, 3)] },
    ],
    ['Gather of unknown rows', 'refused', { nodes: [to('Gather', ['w'])], constants: [weights('w', 4)] }],
    ['GatherElements', 0, { nodes: [to('GatherElements', ['x'], { axis: 1 })] }],
    [
      'GatherElements from a table',
      0,
      { nodes: [node('GatherElements', ['w', 'x'], ['m'])], constants: [weights('w', 2, 3, 4)] },
    ],
    ['GatherND', 0, { nodes: [to('GatherND', ['x'], { batch_dims: 1 })] }],
    ['GatherND without batch_dims', 'refused', { nodes: [to('GatherND', ['x'])] }],
    ['ScatterElements', 0, { nodes: [to('ScatterElements', ['x', 'x'], { axis: 2 })] }],
    ['ScatterElements along it', 'refused', { nodes: [to('ScatterElements', ['x', 'x'])] }],
  ])('is followed through %s: %s', (_, place, spec) => {
    expect(placeIn(spec)).toBe(place)
  })

  it('is found behind branches of different ranks', () => {
    const body = (op: NodeSpec) => ({
      graph: { outputs: [value(op.outputs[0] ?? '', 'float32')], nodes: [op] },
    })
    const either = (condition: string): NodeSpec =>
      node('If', [condition], ['m'], {
        then_branch: body(node('Squeeze', ['x', 'last'], ['a'])),
        else_branch: body(node('Unsqueeze', ['x', 'front'], ['b'])),
      })
    const constants = [ints('last', -1), ints('front', 0), ints('three', 3), weights('any')]
    // The branch taken is unknown, so both are searched.
    const open = [node('IsNaN', ['any'], ['nan']), either('nan')]
    expect(placeIn({ nodes: open, constants })).toBe(0)
    expect(placeIn({ nodes: open, constants, batch: 1 })).toBe(1)
    // The rank alone decides the branch.
    const decide = (op: string): NodeSpec[] => [
      to('Shape'),
      node(op, ['m'], ['rank']),
      node('Equal', ['rank', 'three'], ['is']),
    ]
    expect(placeIn({ nodes: [...decide('Shape'), either('is')], constants })).toBe(0)
    expect(
      placeIn({ nodes: [...decide('Size'), node('Not', ['is'], ['not']), either('not')], constants }),
    ).toBe(1)
  })

  it('is followed through the values of Constant nodes', () => {
    const list = node('Constant', [], ['s'], { value_ints: [1, -1] })
    const single = node('Constant', [], ['a'], { value_int: 0 })
    expect(placeIn({ nodes: [list, to('Reshape', ['s'])] })).toBe(1)
    expect(placeIn({ nodes: [single, to('Unsqueeze', ['a'])] })).toBe(1)
    expect(
      placeIn({ nodes: [node('Constant', [], ['f'], { value_float: { float: 1 } }), to('Add', ['f'])] }),
    ).toBe(0)
  })
})
