import {
  type FunctionSpec,
  type InitializerSpec,
  type NodeSpec,
  node,
  value,
} from '../../../models/synthetic/onnx-builder.js'
import { type CorpusCase, cube, type Dims, direct, int, ints, type Part } from './case.js'

/** The places of a graph at which a part is tried, each with a function that builds the graph. */
export const places: Readonly<Record<string, (part: Part) => CorpusCase>> = {
  'behind Transpose': (part) => {
    const [first, second, ...others] = part.dims ?? cube
    const perm = (part.dims ?? cube).map((_, axis) => (axis < 2 ? 1 - axis : axis))
    const turned = [second, first, ...others] as Dims
    const nodes = [
      node('Transpose', ['x'], ['place_turned'], { perm }),
      ...renamed(part.nodes, { x: 'place_turned' }),
    ]
    return direct({ ...part, dims: turned, nodes }, {}, 'behind Transpose')
  },
  'behind Reshape': (part) => {
    const own = (part.dims ?? cube).map((size) => (size === 'batch' ? -1 : size))
    const flat = own.slice(1).reduce((all, size) => all * size, 1)
    const nodes = [
      node('Reshape', ['x', 'place_own'], ['place_shaped']),
      ...renamed(part.nodes, { x: 'place_shaped' }),
    ]
    const constants = [...(part.constants ?? []), ints('place_own', ...own)]
    return direct({ ...part, dims: ['batch', flat], nodes, constants }, {}, 'behind Reshape')
  },
  'behind a shape made of the input': (part) => {
    const [, ...own] = (part.dims ?? cube).map(Number)
    const flat = own.reduce((all, size) => all * size, 1)
    const nodes = [
      node('Shape', ['x'], ['place_shape']),
      node('Gather', ['place_shape', 'place_zero'], ['place_count'], { axis: 0 }),
      node('Unsqueeze', ['place_count', 'place_front'], ['place_counts']),
      node('Concat', ['place_counts', 'place_own'], ['place_whole'], { axis: 0 }),
      node('Reshape', ['x', 'place_whole'], ['place_shaped']),
      ...renamed(part.nodes, { x: 'place_shaped' }),
    ]
    const constants = [
      ...(part.constants ?? []),
      int('place_zero', 0),
      ints('place_front', 0),
      ints('place_own', ...own),
    ]
    return direct(
      { ...part, dims: ['batch', flat], nodes, constants },
      {},
      'behind a shape made of the input',
    )
  },
  'in a branch': (part) => {
    const body = (y: string): { graph: { outputs: ReturnType<typeof value>[]; nodes: NodeSpec[] } } => ({
      graph: { outputs: [value(y, part.gives ?? 'float32')], nodes: renamed(part.nodes, { y }, `${y}_`) },
    })
    const nodes = [node('If', ['go'], ['y'], { then_branch: body('yes'), else_branch: body('no') })]
    const more = [...(part.more ?? []), { name: 'go', type: 'bool' as const, dims: [] }]
    return direct({ ...part, nodes, more }, {}, 'in a branch')
  },
  'in a loop': (part) => {
    const graph = {
      inputs: [value('trip', 'int64', []), value('goes', 'bool', [])],
      outputs: [value('goesOn', 'bool', []), value('found', part.gives ?? 'float32')],
      nodes: [node('Identity', ['goes'], ['goesOn']), ...renamed(part.nodes, { y: 'found' }, 'in_')],
    }
    const nodes = [node('Loop', ['place_trips', ''], ['y'], { body: { graph } })]
    return direct(
      { ...part, nodes, constants: [...(part.constants ?? []), int('place_trips', 2)] },
      {},
      'in a loop',
    )
  },
  'in a function': (part) => inFunctions(part, 1, 'in a function'),
  'in a function of a function': (part) => inFunctions(part, 2, 'in a function of a function'),
}

/** Returns a graph of nested functions, which cannot see constants of the graph: theirs are nodes. */
function inFunctions(part: Part, depth: number, name: string): CorpusCase {
  const constants = (part.constants ?? []).map(({ name: of, ...tensor }): NodeSpec => {
    return node('Constant', [], [of], { value: { tensor: { name: of, ...tensor } as InitializerSpec } })
  })
  const more = (part.more ?? []).map((input) => input.name)
  const call = (level: number): NodeSpec => ({
    ...node(`Level${level}`, ['x', ...more], ['y']),
    domain: 'own',
  })
  const functions = Array.from({ length: depth }, (_, level): FunctionSpec => {
    const nodes = level === 0 ? [...constants, ...part.nodes] : [call(level - 1)]
    return { name: `Level${level}`, domain: 'own', inputs: ['x', ...more], outputs: ['y'], nodes }
  })
  const all = [...(part.functions ?? []), ...functions]
  return direct({ ...part, nodes: [call(depth - 1)], constants: [], functions: all }, {}, name)
}

/**
 * Returns nodes in which some tensors are renamed, and the names of those that they produce have a prefix.
 */
function renamed(nodes: readonly NodeSpec[], names: Readonly<Record<string, string>>, own = ''): NodeSpec[] {
  const produced = new Set(nodes.flatMap(({ outputs }) => outputs))
  const nameOf = (name: string): string => names[name] ?? (produced.has(name) ? `${own}${name}` : name)
  return nodes.map((each) => ({
    ...each,
    inputs: each.inputs.map(nameOf),
    outputs: each.outputs.map((name) => (name === '' ? '' : nameOf(name))),
  }))
}
