import { errors } from '../../src/errors/errors.js'
import { aligned, INLINE_BYTES, viewOf } from '../../src/protocol/replica/pack-layout.js'
import type { Answer } from '../../src/protocol/replica/replica-replies.js'
import type { OwnElements } from '../../src/protocol/replica/replica-task.js'
import { copyElements, elementCount } from '../../src/tensors/batch/rows.js'
import { newElements } from '../../src/tensors/coerce-elements.js'
import type { Tensor, TensorData, TensorType } from '../../src/tensors/tensor.js'

/**
 * Writes outputs into the rest of a pack's buffer; outputs that are too large for it are sent in their own
 * buffers.
 */
export class OutputWriter {
  /** The buffers of outputs that are too large. */
  readonly buffers: ArrayBuffer[] = []
  readonly #buffer: ArrayBuffer
  readonly #isTrusted: boolean
  #offset: number

  /** `isTrusted` is true if the buffers of outputs can be moved, and the loader keeps none of them. */
  constructor(buffer: ArrayBuffer, offset: number, isTrusted: boolean) {
    this.#buffer = buffer
    this.#offset = offset
    this.#isTrusted = isTrusted
  }

  /** Returns true if the outputs of `requests` requests fit into the buffer, and none is too large for it. */
  isInline(outputs: readonly Tensor[], requests: number): boolean {
    let bytes = 0
    for (const { data } of outputs) {
      if (!ArrayBuffer.isView(data)) continue
      if (data.byteLength > requests * INLINE_BYTES) return false
      bytes += aligned(data.byteLength)
    }
    return this.#offset + bytes <= this.#buffer.byteLength
  }

  /**
   * Copies or moves the outputs of `requests` requests to where they can be sent from.
   * @throws ERR_INFERENCE if the number of elements of an output differs from its dims.
   */
  put(outputs: readonly Tensor[], requests: number): Answer {
    return {
      dims: outputs.map(({ dims }) => dims),
      data: outputs.map((output, index) => {
        const { type, dims, data } = output
        const count = elementCount(dims)
        // An output whose buffer was moved with another one would leave the old content in the pack.
        if (data.length !== count) throw wrongCount(index, output)
        if (!ArrayBuffer.isView(data)) return data
        const end = this.#offset + data.byteLength
        if (data.byteLength > requests * INLINE_BYTES || end > this.#buffer.byteLength) {
          return this.#move(output, outputs)
        }
        const offset = this.#offset
        copyElements(viewOf(type, this.#buffer, offset, count), 0, data, 0, count)
        this.#offset = aligned(end)
        return offset
      }),
    }
  }

  /** Returns the buffer of an output if it holds nothing else, or a copy. */
  #move({ type, data }: Tensor, outputs: readonly Tensor[]): OwnElements {
    const buffer = bufferOf(data)
    const isWhole = buffer instanceof ArrayBuffer && buffer.byteLength === (data as Uint8Array).byteLength
    const isOwn = isWhole && buffer !== this.#buffer && !this.buffers.includes(buffer)
    const isAlone = isOwn && outputs.filter((other) => bufferOf(other.data) === buffer).length === 1
    const moved = (isAlone ? this.#movable(buffer) : undefined) ?? copied(type, data)
    this.buffers.push(moved)
    return moved
  }

  /** Returns the buffer in a form that can certainly be sent; undefined if there is none. */
  #movable(buffer: ArrayBuffer): ArrayBuffer | undefined {
    if (this.#isTrusted) return buffer
    try {
      // Moved now, since a buffer that cannot be moved would fail the whole pack when it is sent.
      return isResizable(buffer) ? undefined : structuredClone(buffer, { transfer: [buffer] })
    } catch {
      return undefined
    }
  }
}

function bufferOf(data: TensorData): ArrayBufferLike | undefined {
  return ArrayBuffer.isView(data) ? data.buffer : undefined
}

function copied(type: TensorType, data: TensorData): ArrayBuffer {
  const copy = newElements(type, data.length)
  copyElements(copy, 0, data, 0, data.length)
  return (copy as Float32Array<ArrayBuffer>).buffer
}

function isResizable(buffer: ArrayBuffer): boolean {
  return (buffer as { resizable?: boolean }).resizable === true
}

function wrongCount(index: number, { dims, data }: Tensor): Error {
  return new errors.ERR_INFERENCE(`output ${index} holds ${data.length} elements, its dims are [${dims}]`)
}
