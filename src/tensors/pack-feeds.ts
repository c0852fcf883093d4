import { errors } from '../errors.js'
import { ARRAY_CLASSES } from './element-types.js'
import type { Feeds, Tensor, TensorData } from './tensor.js'

export interface PackedFeeds {
  /** The same tensors over buffers that may be transferred. */
  readonly feeds: Feeds
  readonly transfer: ArrayBuffer[]
}

/** So that every element type is aligned in the shared buffer. */
const ALIGNMENT = 8

/**
 * Copies all tensors into one fresh buffer that moves to the replica, once, and leaves the
 * caller's arrays as they are. With `mayMove` a view that covers its whole buffer moves
 * itself instead, and the caller's array is empty afterwards.
 */
export function packFeeds(feeds: Feeds, mayMove: boolean): PackedFeeds {
  const names = Object.keys(feeds)
  const moved = new Set<ArrayBuffer>()
  let bytes = 0
  for (const name of names) {
    const { data } = feeds[name] as Tensor
    if (Array.isArray(data)) continue
    if (mayMove && coversItsBuffer(data)) moved.add(data.buffer)
    else bytes += aligned(data.byteLength)
  }
  const buffer = new ArrayBuffer(bytes)
  const packed: Feeds = {}
  let offset = 0
  for (const name of names) {
    const tensor = feeds[name] as Tensor
    const { data } = tensor
    if (Array.isArray(data) || moved.has(data.buffer as ArrayBuffer)) {
      define(packed, name, tensor)
      continue
    }
    const copy = copyInto(buffer, offset, tensor, name)
    define(packed, name, { type: tensor.type, dims: tensor.dims, data: copy })
    offset += aligned(data.byteLength)
  }
  return { feeds: packed, transfer: [buffer, ...moved] }
}

function coversItsBuffer(data: Exclude<TensorData, string[]>): data is typeof data & { buffer: ArrayBuffer } {
  return (
    data.buffer instanceof ArrayBuffer && data.byteLength === data.buffer.byteLength && data.byteLength > 0
  )
}

function copyInto(buffer: ArrayBuffer, offset: number, tensor: Tensor, name: string): TensorData {
  const data = tensor.data as Uint8Array
  let count = 1
  for (const dim of tensor.dims) count *= dim
  if (data.length !== count) {
    throw new errors.ERR_INVALID_INPUT(
      `input "${name}" holds ${data.length} of ${count} elements by now; was its buffer transferred while the request waited?`,
    )
  }
  // Never the caller's own class, which may be Buffer.
  const View = ARRAY_CLASSES[tensor.type as keyof typeof ARRAY_CLASSES] as Uint8ArrayConstructor
  const copy = new View(buffer, offset, count)
  copy.set(data)
  return copy
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT
}

/** An input may be called `__proto__`. */
function define(feeds: Feeds, name: string, tensor: Tensor): void {
  if (name === '__proto__') Object.defineProperty(feeds, name, { value: tensor, enumerable: true })
  else feeds[name] = tensor
}
