import { describe, expect, it } from 'vitest'
import { chain, hazardOf, rows, weights } from '../../../../models/synthetic/hazard-graphs.js'
import { type FunctionSpec, type NodeSpec, node } from '../../../../models/synthetic/onnx-builder.js'

const call = (name: string, inputs: readonly string[] = ['x'], attributes = {}): NodeSpec => ({
  ...node(name, inputs, ['y'], attributes),
  domain: 'own',
})

function defined(name: string, nodes: readonly NodeSpec[], more: Partial<FunctionSpec> = {}): FunctionSpec {
  return { name, domain: 'own', inputs: ['v'], outputs: ['w'], nodes, ...more }
}

describe('a function that a model defines', () => {
  const soft = (axis: number): FunctionSpec => defined('Soft', [node('Softmax', ['v'], ['w'], { axis })])

  it('is followed in place of the node that calls it, and in functions that call it', () => {
    const outer = defined('Outer', [{ ...node('Soft', ['v'], ['w']), domain: 'own' }])
    for (const name of ['Soft', 'Outer']) {
      expect(hazardOf(chain(rows, [call(name)], { functions: [soft(1), outer] }))).toBeUndefined()
      expect(hazardOf(chain(rows, [call(name)], { functions: [soft(0), outer] }))).toBe(
        'Softmax "Softmax_0" normalises over the batch axis',
      )
    }
  })

  it('receives attributes from its call', () => {
    const functions = [
      defined('Soft', [node('Softmax', ['v'], ['w'], { axis: { ref: 'along' } })], { attributes: ['along'] }),
    ]
    expect(hazardOf(chain(rows, [call('Soft', ['x'], { along: 1 })], { functions }))).toBeUndefined()
    expect(hazardOf(chain(rows, [call('Soft', ['x'], { along: 0 })], { functions }))).toMatch(/^Softmax /)
    // An attribute that the call omits is omitted inside too.
    expect(hazardOf(chain(rows, [call('Soft')], { functions }))).toBeUndefined()
  })

  it('does not see outer names, and omits the inputs that its call omits', () => {
    const hidden = defined('Hidden', [node('Add', ['v', 'c'], ['w'])])
    const initializers = [weights('c', 4)]
    expect(hazardOf(chain(rows, [call('Hidden')], { functions: [hidden], initializers }))).toBe(
      'Add "Add_0" reads "c", which no node gives',
    )
    const clipped = defined('Clipped', [node('Clip', ['v', 'low', 'high'], ['w'])], {
      inputs: ['v', 'low', 'high'],
    })
    expect(
      hazardOf(
        chain(rows, [call('Clipped', ['x', '', 'c'])], {
          functions: [clipped],
          initializers: [weights('c')],
        }),
      ),
    ).toBeUndefined()
  })

  it('is refused if it calls itself, or has the name of a known operator', () => {
    const circle = defined('Circle', [{ ...node('Circle', ['v'], ['w']), domain: 'own' }])
    expect(hazardOf(chain(rows, [call('Circle')], { functions: [circle] }))).toBe(
      'Circle "Circle_0" is a function that calls itself',
    )
    const relu = { ...defined('Relu', [node('Neg', ['v'], ['w'])]), domain: '' }
    expect(hazardOf(chain(rows, [node('Relu', ['x'], ['y'])], { functions: [relu] }))).toBe(
      'Relu "Relu_0" is not known to leave the rows of a batch apart',
    )
  })

  it('is not followed without end', () => {
    const names = Array.from({ length: 24 }, (_, at) => `F${at}`)
    const functions = names.map((name, at) => {
      const inner = names[at - 1]
      if (inner === undefined) return defined(name, [node('Relu', ['v'], ['w'])])
      const twice = [
        { ...node(inner, ['v'], ['t']), domain: 'own' },
        { ...node(inner, ['t'], ['w']), domain: 'own' },
      ]
      return defined(name, twice)
    })
    expect(hazardOf(chain(rows, [call('F10')], { functions }))).toBeUndefined()
    expect(hazardOf(chain(rows, [call('F23')], { functions }))).toMatch(/^more than 200000 nodes/)
  })
})
