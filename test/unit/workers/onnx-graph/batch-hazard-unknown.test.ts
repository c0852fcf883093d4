import { describe, expect, it } from 'vitest'
import {
  chain,
  cube,
  hazardOf,
  image,
  ints,
  one,
  rows,
  unclearThen,
  weights,
} from '../../../../models/synthetic/hazard-graphs.js'
import {
  type Dim,
  type InitializerSpec,
  type NodeSpec,
  node,
  value,
} from '../../../../models/synthetic/onnx-builder.js'

/** Returns a graph in which n is the number of rows. */
const counted = (nodes: readonly NodeSpec[], initializers: readonly InitializerSpec[] = []): Uint8Array =>
  chain(rows, [node('Shape', ['x'], ['s']), node('Gather', ['s', 'zero'], ['n']), ...nodes], {
    initializers: [ints('zero', 0), ...initializers],
  })

describe('along the batch axis,', () => {
  it.each<[string, Uint8Array, string]>([
    [
      'an operator of another domain',
      unclearThen(node('Relu', ['u'], ['y'])),
      'Mystery "Mystery_0" of own is not known to leave the rows of a batch apart',
    ],
    [
      'an operator of ONNX that has no rule',
      one('RoiAlign', image, {}, [weights('r', 1, 4), ints('i', 0)]),
      'RoiAlign "RoiAlign_0" is not known to leave the rows of a batch apart',
    ],
    [
      'an input without dims',
      chain(undefined, [node('Relu', ['x'], ['y'])]),
      'input "x" does not declare its axes',
    ],
    [
      'axes that are computed',
      chain(cube, [node('Neg', ['one'], ['a']), node('ReduceSum', ['x', 'a'], ['y'])], {
        initializers: [weights('one', 1)],
      }),
      'ReduceSum "ReduceSum_1" reduces over axes that are not known',
    ],
    [
      'a name that no node defines',
      chain(rows, [node('Add', ['x', 'nothing'], ['y'])]),
      'Add "Add_0" reads "nothing", which no node gives',
    ],
    [
      'elements of a row that are no longer contiguous',
      chain(
        cube,
        [node('Transpose', ['x'], ['t'], { perm: [1, 0, 2] }), node('Reshape', ['t', 'r'], ['y'])],
        {
          initializers: [ints('r', -1, 4)],
        },
      ),
      'output "y" does not keep the elements of a row together',
    ],
  ])('%s is refused', (_, bytes, reason) => {
    expect(hazardOf(bytes)).toBe(reason)
  })

  it('an unknown operator is accepted if no output needs it', () => {
    const unused = { ...node('Mystery', ['x'], ['u']), domain: 'own' }
    expect(hazardOf(chain(rows, [unused, node('Relu', ['x'], ['y'])]))).toBeUndefined()
    const shared = { ...node('Mystery', ['w'], ['u']), domain: 'own' }
    const initializers = [weights('w', 4)]
    expect(hazardOf(chain(rows, [shared, node('Shape', ['u'], ['y'])], { initializers }))).toBeUndefined()
    expect(hazardOf(chain(rows, [shared, node('Add', ['x', 'u'], ['y'])], { initializers }))).toBe(
      'Add "Add_1" reads a tensor beside the batch whose axes are not known',
    )
  })
})

describe('the number of rows', () => {
  const calculates = /calculates with the number of rows in the batch$/

  it.each<[string, Uint8Array]>([
    [
      'a sum',
      counted(
        [
          node('Add', ['n', 'c'], ['t']),
          node('Cast', ['t'], ['f'], { to: 1 }),
          node('Mul', ['x', 'f'], ['y']),
        ],
        [ints('c', 1)],
      ),
    ],
    [
      'a factor of an answer',
      counted([node('Cast', ['n'], ['f'], { to: 1 }), node('Div', ['x', 'f'], ['y'])]),
    ],
    ['its square', counted([node('Mul', ['n', 'n'], ['q']), node('Reshape', ['x', 'q'], ['y'])])],
    [
      'half of it',
      counted([node('Div', ['n', 'two'], ['h']), node('ConstantOfShape', ['h'], ['y'])], [ints('two', 2)]),
    ],
    [
      'a cast that cuts it off',
      counted([node('Cast', ['n'], ['b'], { to: 2 }), node('ConstantOfShape', ['b'], ['y'])]),
    ],
  ])('is refused in %s', (_, bytes) => {
    expect(hazardOf(bytes)).toMatch(calculates)
  })

  it('is refused in a condition', () => {
    const body = (op: string) => ({
      graph: { outputs: [value(`${op}_y`, 'float32')], nodes: [node(op, ['x'], [`${op}_y`])] },
    })
    const decide = (to: string): NodeSpec =>
      node('If', [to], ['y'], { then_branch: body('Relu'), else_branch: body('Neg') })
    expect(hazardOf(counted([node('Equal', ['n', 'five'], ['e']), decide('e')], [ints('five', 5)]))).toMatch(
      calculates,
    )
    // There is at least one row.
    expect(hazardOf(counted([node('Cast', ['n'], ['e'], { to: 9 }), decide('e')]))).toBeUndefined()
    expect(hazardOf(counted([decide('n')]))).toBe('If "If_2" is decided by the number of rows in the batch')
  })

  it('may be the size of an axis, and a factor of one', () => {
    const shape = (...parts: string[]): NodeSpec => node('Concat', parts, ['shape'], { axis: 0 })
    const dims: Dim[] = ['batch', 6]
    const hazardWith = (nodes: readonly NodeSpec[]): string | undefined =>
      hazardOf(
        chain(dims, [node('Shape', ['x'], ['s']), node('Gather', ['s', 'zero'], ['n']), ...nodes], {
          initializers: [ints('zero', 0), ints('two', 2), ints('three', 3), ints('six', 6), ints('rest', -1)],
        }),
      )
    const many = node('Mul', ['n', 'two'], ['many'])
    expect(hazardWith([shape('n', 'rest'), node('Reshape', ['x', 'shape'], ['y'])])).toBeUndefined()
    expect(hazardWith([many, shape('many', 'three'), node('Reshape', ['x', 'shape'], ['y'])])).toBeUndefined()
    expect(hazardWith([shape('six', 'n'), node('Reshape', ['x', 'shape'], ['y'])])).toMatch(/^Reshape /)
    expect(
      hazardWith([
        many,
        node('Div', ['many', 'two'], ['again']),
        shape('again', 'six'),
        node('Reshape', ['x', 'shape'], ['y']),
      ]),
    ).toBeUndefined()
    expect(hazardWith([shape('n', 'n'), node('ConstantOfShape', ['shape'], ['y'])])).toMatch(
      /^ConstantOfShape /,
    )
  })
})
