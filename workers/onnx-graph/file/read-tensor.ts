import type { GraphTensor } from './graph.js'
import type { ProtoCursor, ProtoField } from './proto-cursor.js'

/** Number of values that are kept: enough for every shape, permutation and list of axes, but not for weights. */
const MAX_VALUES = 64
const types = { float: 1, int32: 6, int64: 7, bool: 9 } as const
const kept: readonly number[] = Object.values(types)
const EXTERNAL_LOCATION = 1

/** Reads a TensorProto. Its data is skipped, unless it is a handful of numbers. */
export function readTensor(cursor: ProtoCursor, tensor: ProtoField): GraphTensor {
  let name = ''
  let type = 0
  let place = 0
  let location: string | undefined
  let raw: ProtoField | undefined
  const dims: number[] = []
  const lists: ProtoField[] = []
  const floats: number[] = []
  for (const field of cursor.message(tensor)) {
    if (field.number === 1) for (const dim of cursor.varints(field)) dims.push(dim)
    else if (field.number === 2) type = field.value
    else if (field.number === 8) name = cursor.text(field)
    else if (field.number === 9) raw = field
    else if (field.number === 13) location = readLocation(cursor, field) ?? location
    else if (field.number === 14) place = field.value
    else if (field.number === 4 && floats.length <= MAX_VALUES)
      floats.push(...cursor.floats(field, MAX_VALUES))
    // int32_data and int64_data have one field for each value if a writer does not pack them.
    else if ((field.number === 5 || field.number === 7) && lists.length <= MAX_VALUES) lists.push(field)
  }
  const count = dims.reduce((product, dim) => product * dim, 1)
  const isKept = kept.includes(type) && count <= MAX_VALUES
  if (place === EXTERNAL_LOCATION) return { name, dims, type, values: undefined, location }
  if (!isKept) return { name, dims, type, values: undefined }
  const listed = type === types.float ? floats : integers(cursor, lists)
  const values = raw === undefined ? listed : unpacked(cursor.bytes(raw), type)
  if (values.length !== count) throw new Error(`not a valid ONNX file: tensor "${name}" lacks data`)
  return { name, dims, type, values }
}

/** Reads a SparseTensorProto: the name and the dims. */
export function readSparseTensor(cursor: ProtoCursor, sparse: ProtoField): GraphTensor {
  let values: GraphTensor | undefined
  const dims: number[] = []
  for (const field of cursor.message(sparse)) {
    if (field.number === 1) values = readTensor(cursor, field)
    else if (field.number === 3) for (const dim of cursor.varints(field)) dims.push(dim)
  }
  const { name = '', type = 0, location } = values ?? {}
  return { name, dims, type, values: undefined, location }
}

/** Returns the file named by a StringStringEntryProto of external data; undefined if the entry is another one. */
function readLocation(cursor: ProtoCursor, entry: ProtoField): string | undefined {
  let key = ''
  let value: string | undefined
  for (const field of cursor.message(entry)) {
    if (field.number === 1) key = cursor.text(field)
    else if (field.number === 2) value = cursor.text(field)
  }
  return key === 'location' ? value : undefined
}

function integers(cursor: ProtoCursor, lists: readonly ProtoField[]): number[] {
  const values: number[] = []
  for (const list of lists) {
    if (list.end - list.start > MAX_VALUES * 10) return []
    values.push(...cursor.varints(list))
  }
  return values
}

function unpacked(bytes: Buffer, type: number): number[] {
  const size = type === types.int64 ? 8 : type === types.bool ? 1 : 4
  const values: number[] = []
  for (let at = 0; at + size <= bytes.length; at += size) {
    if (type === types.int64) values.push(Number(bytes.readBigInt64LE(at)))
    else if (type === types.float) values.push(bytes.readFloatLE(at))
    else values.push(type === types.bool ? bytes.readUInt8(at) : bytes.readInt32LE(at))
  }
  return values
}
