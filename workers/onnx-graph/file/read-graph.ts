import {
  functionKey,
  type Graph,
  type GraphAttribute,
  type GraphDim,
  type GraphFunction,
  type GraphNode,
  type GraphTensor,
  type GraphValue,
  type OnnxGraph,
} from './graph.js'
import { ProtoCursor, type ProtoField } from './proto-cursor.js'
import { readSparseTensor, readTensor } from './read-tensor.js'

/** Longer lists and texts are data of an operator (trees, tables), never axes or modes. */
const MAX_LIST_LENGTH = 256
const MAX_TEXT_BYTES = 1024
const attributeTypes = { int: 2, floats: 6, ints: 7 } as const

/**
 * Reads the graph of an ONNX file without its weights: a file of 2 GB costs a few MB of reading.
 * @throws Error if the file cannot be read or is malformed.
 */
export function readGraph(path: string): OnnxGraph {
  const cursor = new ProtoCursor(path)
  try {
    return readModel(cursor)
  } finally {
    cursor.close()
  }
}

/** Reads a ModelProto. Field numbers here and below: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto */
export function readModel(cursor: ProtoCursor): OnnxGraph {
  const opsets = new Map<string, number>()
  let graph: Graph | undefined
  const functions = new Map<string, GraphFunction>()
  for (const field of cursor.fields(0, cursor.size)) {
    if (field.number === 7) graph = readBody(cursor, field)
    else if (field.number === 8) readOpset(cursor, field, opsets)
    else if (field.number === 25) functions.set(...readFunction(cursor, field))
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

/** Returns '' for 'ai.onnx', which is its long name. */
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

/** Reads a FunctionProto. Its inputs and outputs have names only; types and shapes follow from each call. */
function readFunction(cursor: ProtoCursor, of: ProtoField): [key: string, read: GraphFunction] {
  const nodes: GraphNode[] = []
  const inputs: GraphValue[] = []
  const outputs: GraphValue[] = []
  const opsets = new Map<string, number>()
  const defaults = new Map<string, GraphAttribute>()
  let name = ''
  let domain = ''
  let overload = ''
  for (const field of cursor.message(of)) {
    if (field.number === 1) name = cursor.text(field)
    else if (field.number === 4) inputs.push({ name: cursor.text(field), dims: undefined })
    else if (field.number === 5) outputs.push({ name: cursor.text(field), dims: undefined })
    else if (field.number === 7) nodes.push(readNode(cursor, field))
    else if (field.number === 9) readOpset(cursor, field, opsets)
    else if (field.number === 10) domain = plainDomain(cursor.text(field))
    else if (field.number === 11) readAttribute(cursor, field, defaults)
    else if (field.number === 13) overload = cursor.text(field)
  }
  const body = { nodes, inputs, outputs, initializers: new Map(), ranks: new Map() }
  return [functionKey(domain, name, overload), { body, opsets, defaults }]
}

function readNode(cursor: ProtoCursor, node: ProtoField): GraphNode {
  const inputs: string[] = []
  const outputs: string[] = []
  const attributes = new Map<string, GraphAttribute>()
  let op = ''
  let domain = ''
  let overload = ''
  let name = ''
  for (const field of cursor.message(node)) {
    if (field.number === 1) inputs.push(cursor.text(field))
    else if (field.number === 2) outputs.push(cursor.text(field))
    else if (field.number === 3) name = cursor.text(field)
    else if (field.number === 4) op = cursor.text(field)
    else if (field.number === 5) readAttribute(cursor, field, attributes)
    else if (field.number === 7) domain = plainDomain(cursor.text(field))
    else if (field.number === 8) overload = cursor.text(field)
  }
  if (op === '') throw new Error(`not a valid ONNX file: node "${name}" has no operator`)
  return { op, domain, overload, name, inputs, outputs, attributes }
}

function readAttribute(cursor: ProtoCursor, attribute: ProtoField, into: Map<string, GraphAttribute>): void {
  let name = ''
  let kept: GraphAttribute = {}
  let type = 0
  const ints: number[] = []
  const floats: number[] = []
  const graphs: Graph[] = []
  for (const field of cursor.message(attribute)) {
    if (field.number === 1) name = cursor.text(field)
    else if (field.number === 3) kept = { ...kept, int: field.value }
    else if (field.number === 4 && field.end - field.start <= MAX_TEXT_BYTES) {
      kept = { ...kept, string: cursor.text(field) }
    } else if (field.number === 5) kept = { ...kept, tensor: readTensor(cursor, field) }
    else if (field.number === 6 || field.number === 11) graphs.push(readBody(cursor, field))
    else if (field.number === 8 && ints.length <= MAX_LIST_LENGTH) {
      if (field.end - field.start > MAX_LIST_LENGTH * 10) ints.length = MAX_LIST_LENGTH + 1
      else ints.push(...cursor.varints(field))
    } else if (field.number === 7 && floats.length <= MAX_LIST_LENGTH) {
      floats.push(...cursor.floats(field, MAX_LIST_LENGTH))
    } else if (field.number === 20) type = field.value
    else if (field.number === 21) kept = { ...kept, ref: cursor.text(field) }
  }
  // A writer may leave out a zero and an empty list.
  if (type === attributeTypes.int) kept = { int: 0, ...kept }
  if (type === attributeTypes.ints || ints.length > 0)
    kept = ints.length > MAX_LIST_LENGTH ? kept : { ...kept, ints }
  if (type === attributeTypes.floats || floats.length > 0)
    kept = floats.length > MAX_LIST_LENGTH ? kept : { ...kept, floats }
  into.set(name, graphs.length > 0 ? { ...kept, graphs } : kept)
}

function readValue(cursor: ProtoCursor, value: ProtoField): GraphValue {
  let name = ''
  let type: Pick<GraphValue, 'dims' | 'type'> = { dims: undefined }
  for (const field of cursor.message(value)) {
    if (field.number === 1) name = cursor.text(field)
    else if (field.number === 2) type = readType(cursor, field)
  }
  return { name, ...type }
}

/** Reads the element type and the dims of a TypeProto. */
function readType(cursor: ProtoCursor, type: ProtoField): Pick<GraphValue, 'dims' | 'type'> {
  let dims: GraphDim[] | undefined
  let elements: number | undefined
  for (const tensor of cursor.message(type)) {
    if (tensor.number !== 1) continue
    for (const part of cursor.message(tensor)) {
      if (part.number === 1) elements = part.value
      if (part.number !== 2) continue
      dims = []
      for (const dim of cursor.message(part)) if (dim.number === 1) dims.push(readDim(cursor, dim))
    }
  }
  return elements === undefined ? { dims } : { dims, type: elements }
}

function readDim(cursor: ProtoCursor, dim: ProtoField): GraphDim {
  let size: GraphDim
  for (const field of cursor.message(dim)) {
    if (field.number === 1) size = field.value
    else if (field.number === 2) size = cursor.text(field) || undefined
  }
  return size
}
