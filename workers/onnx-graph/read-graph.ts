import type {
  Graph,
  GraphAttribute,
  GraphDim,
  GraphNode,
  GraphTensor,
  GraphValue,
  OnnxGraph,
} from './graph.js'
import { ProtoCursor, type ProtoField } from './proto-cursor.js'
import { readSparseTensor, readTensor } from './read-tensor.js'

/** Longer lists and texts are data of an operator (trees, tables), never axes or modes. */
const maxListLength = 256
const maxTextBytes = 1024
const attributeTypes = { int: 2, ints: 7 } as const

/**
 * Reads the graph of an ONNX file and not its weights: a file of 2 GB costs a few MB of reading.
 * @throws Error when the file cannot be read or is malformed.
 */
export function readGraph(path: string): OnnxGraph {
  const cursor = new ProtoCursor(path)
  try {
    return readModel(cursor)
  } finally {
    cursor.close()
  }
}

/** Field numbers here and below: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto */
export function readModel(cursor: ProtoCursor): OnnxGraph {
  const opsets = new Map<string, number>()
  let graph: Graph | undefined
  let functions = 0
  for (const field of cursor.fields(0, cursor.size)) {
    if (field.number === 7) graph = readBody(cursor, field)
    else if (field.number === 8) readOpset(cursor, field, opsets)
    else if (field.number === 25) functions++
  }
  if (graph === undefined || opsets.size === 0) {
    throw new Error(`not a valid ONNX file: it has no ${graph === undefined ? 'graph' : 'operator set'}`)
  }
  return { ...graph, opsets, functions }
}

function readOpset(cursor: ProtoCursor, opset: ProtoField, opsets: Map<string, number>): void {
  let domain = ''
  let version = 1
  for (const field of cursor.message(opset)) {
    if (field.number === 1) domain = cursor.text(field)
    else if (field.number === 2) version = field.value
  }
  opsets.set(plainDomain(domain), version)
}

/** 'ai.onnx' is the long name of ''. */
function plainDomain(domain: string): string {
  return domain === 'ai.onnx' ? '' : domain
}

function readBody(cursor: ProtoCursor, graph: ProtoField): Graph {
  const nodes: GraphNode[] = []
  const inputs: GraphValue[] = []
  const outputs: GraphValue[] = []
  const initializers = new Map<string, GraphTensor>()
  const ranks = new Map<string, number>()
  for (const field of cursor.message(graph)) {
    if (field.number === 1) nodes.push(readNode(cursor, field))
    else if (field.number === 5 || field.number === 15) {
      const tensor = field.number === 5 ? readTensor(cursor, field) : readSparseTensor(cursor, field)
      initializers.set(tensor.name, tensor)
    } else if (field.number === 11) inputs.push(readValue(cursor, field))
    else if (field.number === 12) outputs.push(readValue(cursor, field))
    else if (field.number === 13) {
      const { name, dims } = readValue(cursor, field)
      if (dims !== undefined) ranks.set(name, dims.length)
    }
  }
  return { nodes, inputs, outputs, initializers, ranks }
}

function readNode(cursor: ProtoCursor, node: ProtoField): GraphNode {
  const inputs: string[] = []
  const outputs: string[] = []
  const attributes = new Map<string, GraphAttribute>()
  let op = ''
  let domain = ''
  let name = ''
  for (const field of cursor.message(node)) {
    if (field.number === 1) inputs.push(cursor.text(field))
    else if (field.number === 2) outputs.push(cursor.text(field))
    else if (field.number === 3) name = cursor.text(field)
    else if (field.number === 4) op = cursor.text(field)
    else if (field.number === 5) readAttribute(cursor, field, attributes)
    else if (field.number === 7) domain = plainDomain(cursor.text(field))
  }
  if (op === '') throw new Error(`not a valid ONNX file: node "${name}" has no operator`)
  return { op, domain, name, inputs, outputs, attributes }
}

function readAttribute(cursor: ProtoCursor, attribute: ProtoField, into: Map<string, GraphAttribute>): void {
  let name = ''
  let kept: GraphAttribute = {}
  let type = 0
  const ints: number[] = []
  const graphs: Graph[] = []
  for (const field of cursor.message(attribute)) {
    if (field.number === 1) name = cursor.text(field)
    else if (field.number === 3) kept = { ...kept, int: field.value }
    else if (field.number === 4 && field.end - field.start <= maxTextBytes) {
      kept = { ...kept, string: cursor.text(field) }
    } else if (field.number === 5) kept = { ...kept, tensor: readTensor(cursor, field) }
    else if (field.number === 6 || field.number === 11) graphs.push(readBody(cursor, field))
    else if (field.number === 8 && ints.length <= maxListLength) {
      if (field.end - field.start > maxListLength * 10) ints.length = maxListLength + 1
      else ints.push(...cursor.varints(field))
    } else if (field.number === 20) type = field.value
  }
  // A writer may leave out a zero and an empty list.
  if (type === attributeTypes.int) kept = { int: 0, ...kept }
  if (type === attributeTypes.ints || ints.length > 0)
    kept = ints.length > maxListLength ? kept : { ...kept, ints }
  into.set(name, graphs.length > 0 ? { ...kept, graphs } : kept)
}

function readValue(cursor: ProtoCursor, value: ProtoField): GraphValue {
  let name = ''
  let dims: readonly GraphDim[] | undefined
  for (const field of cursor.message(value)) {
    if (field.number === 1) name = cursor.text(field)
    else if (field.number === 2) dims = readDims(cursor, field)
  }
  return { name, dims }
}

/** Down from a TypeProto: its tensor type, that one's shape, the shape's dims. */
function readDims(cursor: ProtoCursor, type: ProtoField): readonly GraphDim[] | undefined {
  let dims: GraphDim[] | undefined
  for (const tensor of cursor.message(type)) {
    if (tensor.number !== 1) continue
    for (const shape of cursor.message(tensor)) {
      if (shape.number !== 2) continue
      dims = []
      for (const dim of cursor.message(shape)) if (dim.number === 1) dims.push(readDim(cursor, dim))
    }
  }
  return dims
}

function readDim(cursor: ProtoCursor, dim: ProtoField): GraphDim {
  let size: GraphDim
  for (const field of cursor.message(dim)) {
    if (field.number === 1) size = field.value
    else if (field.number === 2) size = cursor.text(field) || undefined
  }
  return size
}
