import { type GraphSpec, type NodeSpec, node, value } from '../../../models/synthetic/onnx-builder.js'
import { cube, float, floats, int, ints, one, type Part, safe, unsafe, weights } from './case.js'

/** The number of rows, as an integer scalar n and a float scalar f. */
const count: readonly NodeSpec[] = [
  node('Shape', ['x'], ['shape']),
  node('Gather', ['shape', 'zero'], ['n']),
  node('Cast', ['n'], ['f'], { to: 1 }),
]
const constants = [
  int('zero', 0),
  int('one', 1),
  int('five', 5),
  ints('front', 0),
  ints('own', 3, 5),
  floats('ten', 10),
  weights('table', 64, 1, 1),
  ints('columns', -1, 1, 1),
  ints('axis', 2),
]
const counted = (name: string, nodes: readonly NodeSpec[]): Part =>
  unsafe(name, { nodes: [...count, ...nodes], constants })

const body = (op: string, from = 'x'): { graph: GraphSpec } => ({
  graph: { outputs: [value(`${op}_y`, 'float32')], nodes: [node(op, [from], [`${op}_y`])] },
})
const either = (condition: string): NodeSpec =>
  node('If', [condition], ['y'], { then_branch: body('Relu'), else_branch: body('Neg') })

/** Graphs whose outputs depend on the size of the batch, at sizes that no proof tries. */
export const counting: readonly Part[] = [
  counted('another way for five rows', [node('Equal', ['n', 'five'], ['is']), either('is')]),
  counted('another way for more than five rows', [node('Greater', ['n', 'five'], ['is']), either('is')]),
  counted('an offset for five rows', [
    node('Equal', ['n', 'five'], ['is']),
    node('Where', ['is', 'ten', 'x'], ['y']),
  ]),
  counted('an offset where a difference is zero', [
    node('Sub', ['n', 'five'], ['d']),
    node('Cast', ['d'], ['isAny'], { to: 9 }),
    node('Not', ['isAny'], ['isNone']),
    node('Cast', ['isNone'], ['z'], { to: 1 }),
    node('Add', ['x', 'z'], ['y']),
  ]),
  counted('divided by the number of rows', [node('Div', ['x', 'f'], ['y'])]),
  counted('as many trips as rows', [
    node('Loop', ['n', '', 'x'], ['y'], {
      body: {
        graph: {
          inputs: [value('trip', 'int64', []), value('goes', 'bool', []), value('h', 'float32')],
          outputs: [value('goesOn', 'bool', []), value('next', 'float32')],
          nodes: [node('Identity', ['goes'], ['goesOn']), node('Add', ['h', 'ten'], ['next'])],
        },
      },
    }),
  ]),
  counted('the place of each row', [
    node('Range', ['zero', 'n', 'one'], ['at']),
    node('Cast', ['at'], ['places'], { to: 1 }),
    node('Reshape', ['places', 'columns'], ['column']),
    node('Add', ['x', 'column'], ['y']),
  ]),
  counted('as many columns as rows', [
    node('Unsqueeze', ['n', 'front'], ['n1']),
    node('Slice', ['x', 'front', 'n1', 'axis'], ['part']),
    node('ReduceMean', ['part'], ['y'], { axes: [1] }),
  ]),
  counted('a table cut to the number of rows', [
    node('Unsqueeze', ['n', 'front'], ['n1']),
    node('Slice', ['table', 'front', 'n1', 'front'], ['part']),
    node('Add', ['x', 'part'], ['y']),
  ]),
  counted('the number of rows in an answer', [
    node('Mul', ['x', 'f'], ['t']),
    node('Div', ['t', 'f'], ['y']),
  ]),
  unsafe('the number of elements', {
    nodes: [
      node('Size', ['x'], ['s']),
      node('Cast', ['s'], ['f'], { to: 1 }),
      node('Add', ['x', 'f'], ['y']),
    ],
  }),
  unsafe('columns for five rows', {
    ...one('Add', {}, [weights('c', 5, 1, 1)]),
    nodes: [node('Add', ['x', 'c'], ['wide']), node('ReduceMean', ['wide'], ['y'], { axes: [1] })],
  }),
  ...[true, false].map((isOwn) =>
    (isOwn ? safe : unsafe)(
      isOwn ? 'an element of each row by its place' : 'an element by a place that is calculated',
      {
        nodes: [
          ...count,
          node('Range', ['zero', 'n', 'one'], ['at']),
          ...(isOwn ? [node('Identity', ['at'], ['places'])] : [node('Mul', ['at', 'zero'], ['places'])]),
          node('ArgMax', ['x'], ['greatest'], { axis: 1, keepdims: 0 }),
          node('Add', ['places', 'greatest'], ['both']),
          node('Shape', ['both'], ['whole']),
          node('Expand', ['places', 'whole'], ['wide']),
          node('Unsqueeze', ['wide', 'last'], ['a']),
          node('Unsqueeze', ['greatest', 'last'], ['b']),
          node('Concat', ['a', 'b'], ['index'], { axis: -1 }),
          node('GatherND', ['x', 'index'], ['y']),
        ],
        dims: ['batch', 5],
        constants: [...constants, ints('last', -1)],
      },
    ),
  ),
  safe('zeros as many as rows', {
    nodes: [
      ...count,
      node('Unsqueeze', ['n', 'front'], ['n1']),
      node('Concat', ['n1', 'own'], ['whole'], { axis: 0 }),
      node('ConstantOfShape', ['whole'], ['zeros']),
      node('Concat', ['x', 'zeros'], ['y'], { axis: 2 }),
    ],
    constants,
  }),
  safe('a row of weights for each', {
    nodes: [
      ...count,
      node('Unsqueeze', ['n', 'front'], ['n1']),
      node('Concat', ['n1', 'ones'], ['whole'], { axis: 0 }),
      node('Expand', ['token', 'whole'], ['tokens']),
      node('Concat', ['tokens', 'x'], ['y'], { axis: 1 }),
    ],
    constants: [...constants, ints('ones', 1, 1), weights('token', 1, 1, 5)],
  }),
  safe('a row of weights for each, by Tile', {
    nodes: [
      ...count,
      node('Unsqueeze', ['n', 'front'], ['n1']),
      node('Concat', ['n1', 'ones'], ['whole'], { axis: 0 }),
      node('Tile', ['token', 'whole'], ['tokens']),
      node('Concat', ['tokens', 'x'], ['y'], { axis: 1 }),
    ],
    constants: [...constants, ints('ones', 1, 1), weights('token', 1, 1, 5)],
  }),
  safe('Expand to a shape that Where chooses', {
    nodes: [
      node('Shape', ['x'], ['s']),
      node('ConstantOfShape', ['three'], ['ones'], { value: { tensor: ints('', 1) } }),
      node('Equal', ['s', 'minus'], ['is']),
      node('Where', ['is', 'ones', 's'], ['whole']),
      node('Expand', ['token', 'whole'], ['tokens']),
      node('Add', ['x', 'tokens'], ['y']),
    ],
    constants: [ints('three', 3), int('minus', -1), weights('token', 1, 1, 5)],
  }),
  safe('another way where there are rows', {
    nodes: [...count, node('Cast', ['n'], ['is'], { to: 9 }), either('is')],
    constants,
  }),
  safe('another way by rank', {
    nodes: [
      node('Shape', ['x'], ['s']),
      node('Size', ['s'], ['r']),
      node('Equal', ['r', 'five'], ['is']),
      either('is'),
    ],
    constants,
  }),
  safe('another way by a shared number', {
    nodes: [node('Equal', ['sr', 'five'], ['is']), either('is')],
    constants,
    more: [{ name: 'sr', type: 'int64', dims: [], below: 9 }],
  }),
]

/** Loops, branches and functions with more than one part. */
export const control: readonly Part[] = [
  unsafe('a branch that the rows decide', {
    nodes: [
      node('ReduceMax', ['x'], ['m'], { keepdims: 0 }),
      node('Greater', ['m', 'limit'], ['is']),
      either('is'),
    ],
    constants: [float('limit', 50)],
  }),
  unsafe('a branch with a hazard', {
    nodes: [
      node('Equal', ['sr', 'five'], ['is']),
      node('If', ['is'], ['y'], {
        then_branch: body('Relu'),
        else_branch: {
          graph: { outputs: [value('s', 'float32')], nodes: [node('Softmax', ['x'], ['s'], { axis: 0 })] },
        },
      }),
    ],
    constants: [int('five', 5)],
    more: [{ name: 'sr', type: 'int64', dims: [], below: 9 }],
  }),
  safe('a Scan along columns', scan(1)),
  unsafe('a Scan along the batch', scan(0)),
  safe('a loop that carries rows', loop([node('MatMul', ['h', 'w'], ['next'])])),
  safe('a loop that turns rows round', {
    ...loop([node('Transpose', ['h'], ['next'], { perm: [1, 2, 0] })]),
    dims: ['batch', 3, 5],
  }),
  unsafe(
    'a loop that averages rows',
    loop([node('ReduceMean', ['h'], ['m'], { axes: [0] }), node('Add', ['h', 'm'], ['next'])]),
  ),
  unsafe(
    'a loop that the rows end',
    loop(
      [node('Mul', ['h', 'half'], ['next'])],
      [node('ReduceMean', ['h'], ['m'], { keepdims: 0 }), node('Greater', ['m', 'half'], ['goesOn'])],
    ),
  ),
  safe('sequences of columns', {
    nodes: [
      node('SplitToSequence', ['x'], ['q'], { axis: 2 }),
      node('SequenceAt', ['q', 'one'], ['a']),
      node('ConcatFromSequence', ['q'], ['c'], { axis: 2 }),
      node('Add', ['a', 'c'], ['y']),
    ],
    constants: [int('one', 1)],
  }),
  unsafe('sequences of rows', {
    nodes: [
      node('SplitToSequence', ['x'], ['q'], { axis: 0 }),
      node('SequenceAt', ['q', 'zero'], ['a']),
      node('Add', ['x', 'a'], ['y']),
    ],
    constants: [int('zero', 0)],
  }),
  unsafe('a function that hides a reduction', inFunction('ReduceMax', { keepdims: 0 })),
  unsafe('a function whose call names the axis of the batch', {
    ...inFunction('Softmax', { axis: { ref: 'along' } }),
    nodes: [{ ...node('Own', ['x'], ['y'], { along: 0 }), domain: 'own' }],
  }),
  safe('a function whose call names another axis', {
    ...inFunction('Softmax', { axis: { ref: 'along' } }),
    nodes: [{ ...node('Own', ['x'], ['y'], { along: 2 }), domain: 'own' }],
  }),
]

function inFunction(
  op: string,
  attributes: Readonly<Record<string, number | { ref: string }>>,
): Pick<Part, 'nodes' | 'functions'> {
  return {
    nodes: [{ ...node('Own', ['x'], ['p']), domain: 'own' }, node('Max', ['p', 'x'], ['y'])],
    functions: [
      {
        name: 'Own',
        domain: 'own',
        inputs: ['v'],
        outputs: ['w'],
        attributes: ['along'],
        nodes: [node(op, ['v'], ['w'], attributes)],
      },
    ],
  }
}

function scan(axis: number): Pick<Part, 'nodes' | 'constants' | 'dims'> {
  const graph = {
    inputs: [value('h', 'float32'), value('e', 'float32')],
    outputs: [value('next', 'float32'), value('out', 'float32')],
    nodes: [node('Add', ['h', 'e'], ['next']), node('Identity', ['next'], ['out'])],
  }
  const attributes = {
    num_scan_inputs: 1,
    scan_input_axes: [axis],
    scan_output_axes: [axis],
    body: { graph },
  }
  // The state has the axes of a slice, with the batch or without.
  const start =
    axis === 0
      ? [node('Identity', ['zeros'], ['start'])]
      : [node('ReduceMean', ['x'], ['start'], { axes: [1], keepdims: 0 })]
  return {
    nodes: [...start, node('Scan', ['start', 'x'], ['end', 'y'], attributes)],
    constants: [weights('zeros', 3, 5)],
    dims: cube,
  }
}

function loop(
  nodes: readonly NodeSpec[],
  decide: readonly NodeSpec[] = [node('Identity', ['goes'], ['goesOn'])],
): Pick<Part, 'nodes' | 'constants' | 'dims'> {
  const graph = {
    inputs: [value('trip', 'int64', []), value('goes', 'bool', []), value('h', 'float32')],
    outputs: [value('goesOn', 'bool', []), value('next', 'float32')],
    nodes: [...decide, ...nodes],
  }
  return {
    nodes: [node('Loop', ['trips', '', 'x'], ['y'], { body: { graph } })],
    constants: [int('trips', 3), weights('w', 5, 5), float('half', 0.5)],
  }
}
