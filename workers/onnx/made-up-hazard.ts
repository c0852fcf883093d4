import type { Graph, GraphNode, GraphValue, OnnxGraph } from '../onnx-graph/file/graph.js'

/** ONNX's numbers of float, float16, double, string, bool, bfloat16: all other element types are integers. */
const NO_INTEGERS: readonly number[] = [1, 10, 11, 8, 9, 16]
/** Operators that can crash the process, or take much memory or time, depending on the values of integers. */
const FAULTY: readonly string[] = [
  'Div',
  'Mod',
  'Loop',
  'Range',
  'ConstantOfShape',
  'Expand',
  'Tile',
  'OneHot',
  'Reshape',
  'Resize',
  'Upsample',
  'Pad',
  'RandomUniformLike',
]
/** Operators whose outputs hold no values of an input. */
const VALUELESS: readonly string[] = [
  'Shape',
  'Size',
  'Equal',
  'Less',
  'Greater',
  'LessOrEqual',
  'GreaterOrEqual',
  'And',
  'Or',
  'Not',
  'Xor',
  'IsNaN',
  'IsInf',
]
/** Operators that select values of their first input by their other inputs. */
const SELECTING: readonly string[] = [
  'Gather',
  'GatherElements',
  'GatherND',
  'Slice',
  'Split',
  'Squeeze',
  'Unsqueeze',
  'Transpose',
  'Flatten',
  'TopK',
]

/**
 * Returns the reason why generated values could crash the process, or take much memory or time: a division of
 * integers, or a size, that is calculated from an input. Returns undefined if there is none. Integers are
 * inputs of that type, and values that are cast to one.
 */
export function madeUpHazard(graph: OnnxGraph, integers: ReadonlySet<string>): string | undefined {
  if (graph.functions.size > 0) return 'its graph has functions of its own, which are not read'
  return search(graph, new Set(integers))
}

/** Searches a graph. `integers` holds the names of integers that depend on an input; the search adds names. */
function search(graph: Graph, integers: Set<string>): string | undefined {
  for (const node of graph.nodes) {
    const isFaulty = node.inputs.some((name) => integers.has(name)) && FAULTY.includes(node.op)
    if (isFaulty) return `${node.op} "${node.name}" works with integers that depend on an input`
    const bodies = [...node.attributes.values()].flatMap(({ graphs = [] }) => graphs)
    const carried = node.inputs.some((name) => integers.has(name))
    for (const body of bodies) {
      if (carried) for (const { name } of body.inputs) integers.add(name)
      const hazard = search(body, integers)
      if (hazard !== undefined) return hazard
    }
    const isInteger =
      makesIntegers(node, integers) ||
      bodies.some(({ outputs }) => outputs.some(({ name }: GraphValue) => integers.has(name)))
    if (isInteger) for (const name of node.outputs) integers.add(name)
  }
  return undefined
}

function makesIntegers({ op, inputs, attributes }: GraphNode, integers: ReadonlySet<string>): boolean {
  const [first = '', ...others] = inputs
  switch (op) {
    case 'Cast':
      // Casts of floats count too, since a size or a divisor can depend on an input by them.
      return !NO_INTEGERS.includes(attributes.get('to')?.int ?? 0)
    case 'CastLike':
    case 'ArgMax':
    case 'ArgMin':
    case 'NonZero':
      return true
    case 'Where':
      return others.some((name) => integers.has(name))
    default:
      if (VALUELESS.includes(op)) return false
      return SELECTING.includes(op) ? integers.has(first) : inputs.some((name) => integers.has(name))
  }
}
