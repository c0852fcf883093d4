import { describe, expect, it } from 'vitest'
import {
  type Attributes,
  chain,
  cube,
  hazardOf,
  inner,
  ints,
  rows,
  weights,
} from '../../../../models/synthetic/hazard-graphs.js'
import { constant, type Dim, type NodeSpec, node, value } from '../../../../models/synthetic/onnx-builder.js'

describe('control flow', () => {
  it('is searched for what must not be batched', () => {
    const branches = chain(
      rows,
      [
        node('If', ['go'], ['y'], {
          then_branch: { graph: inner('Relu') },
          else_branch: { graph: inner('Softmax', { axis: 0 }) },
        }),
      ],
      { inputs: [value('x', 'float32', rows), value('go', 'bool', [])] },
    )
    expect(hazardOf(branches)).toBe('Softmax "Softmax_0" normalises over the batch axis')
    expect(hazardOf(branches, { go: 0 })).toBe('If "If_0" decides once for the whole batch')
    expect(hazardOf(branches, {})).toBeUndefined()
  })

  const trips = (nodes: readonly NodeSpec[], start: string): Uint8Array =>
    chain(
      cube,
      [
        node('Loop', ['n', '', start], ['y'], {
          body: {
            graph: {
              inputs: [value('trip', 'int64', []), value('go', 'bool', []), value('h', 'float32')],
              outputs: [value('goOn', 'bool', []), value('next', 'float32')],
              nodes,
            },
          },
        }),
      ],
      { initializers: [constant('n', [], BigInt64Array.of(3n)), weights('w', 4, 4), weights('zeros', 3, 4)] },
    )

  it('is searched in the bodies of loops, in later trips too', () => {
    const keepGoing = node('Identity', ['go'], ['goOn'])
    const step = node('MatMul', ['h', 'w'], ['next'])
    expect(hazardOf(trips([keepGoing, step], 'x'))).toBeUndefined()
    const reduce = node('ReduceMax', ['h'], ['next'], { axes: [0] })
    expect(hazardOf(trips([keepGoing, reduce], 'x'))).toMatch(/^ReduceMax .* reduces over the batch axis/)
    expect(hazardOf(trips([keepGoing, reduce], 'zeros'))).toBeUndefined()
    // Only from the second trip on does h depend on the rows.
    const late = [
      keepGoing,
      node('ReduceMax', ['h'], ['m'], { axes: [0] }),
      node('Add', ['m', 'x'], ['next']),
    ]
    expect(hazardOf(trips(late, 'zeros'))).toMatch(/^ReduceMax /)
    // The axis moves with each trip, until nobody knows where it is.
    const turn = [keepGoing, node('Transpose', ['h'], ['next'], { perm: [1, 2, 0] })]
    expect(hazardOf(trips(turn, 'x'))).toBeUndefined()
  })

  it('is refused where the rows decide how often a loop repeats', () => {
    const decide = [node('Cast', ['h'], ['goOn'], { to: 9 }), node('Identity', ['h'], ['next'])]
    expect(hazardOf(trips(decide, 'x'))).toBe('Loop "Loop_0" repeats as often as the whole batch decides')
  })

  it('is refused in a Scan along the batch, and in its body', () => {
    const scan = (axis: number, step: NodeSpec): Uint8Array =>
      chain(
        cube,
        [
          node('Scan', ['zeros', 'x'], ['end', 'y'], {
            num_scan_inputs: 1,
            scan_input_axes: [axis],
            body: {
              graph: {
                inputs: [value('h', 'float32'), value('e', 'float32')],
                outputs: [value('next', 'float32'), value('out', 'float32')],
                nodes: [step, node('Identity', ['next'], ['out'])],
              },
            },
          }),
        ],
        { initializers: [weights('zeros', 1, 4)] },
      )
    const add = node('Add', ['h', 'e'], ['next'])
    expect(hazardOf(scan(0, add))).toBe('Scan "Scan_0" goes along the batch axis')
    expect(hazardOf(scan(1, add))).toBeUndefined()
    expect(hazardOf(scan(1, node('ReduceMax', ['e'], ['next'], { axes: [0] })))).toMatch(/^ReduceMax /)
  })
})

describe('recurrent layers', () => {
  const lstm = (dims: readonly Dim[], attributes: Attributes, then: NodeSpec): Uint8Array =>
    chain(dims, [node('LSTM', ['x', 'w', 'r', '', '', 'h0', 'h0'], ['a', 'h', 'c'], attributes), then], {
      initializers: [weights('w', 1, 8, 4), weights('r', 1, 8, 2), weights('h0', 1, 1, 2), ints('axes', 0)],
    })

  it('tell by their layout where the rows are', () => {
    const squeeze = node('ReduceMax', ['h'], ['y'], { axes: [0] })
    const reduce = node('ReduceMax', ['h'], ['y'], { axes: [1] })
    const all = node('ReduceMax', ['a'], ['y'], { axes: [2] })
    const sequence = [5, 'batch', 4]
    expect(hazardOf(lstm(sequence, {}, squeeze), { x: 1 })).toBeUndefined()
    expect(hazardOf(lstm(sequence, {}, reduce), { x: 1 })).toMatch(/^ReduceMax /)
    expect(hazardOf(lstm(sequence, {}, all), { x: 1 })).toMatch(/^ReduceMax /)
    expect(hazardOf(lstm(sequence, {}, all), { x: 0 })).toBe('LSTM "LSTM_0" steps along the batch axis')
    expect(hazardOf(lstm(cube, { layout: 1 }, reduce))).toBeUndefined()
    expect(hazardOf(lstm(cube, { layout: 1 }, squeeze))).toMatch(/^ReduceMax /)
    expect(hazardOf(lstm(sequence, { layout: 1 }, squeeze), { x: 1 })).toMatch(/^LSTM /)
  })
})
