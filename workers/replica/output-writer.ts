import { errors } from '../../src/errors/errors.js'
import { aligned, INLINE_BYTES, viewOf } from '../../src/protocol/replica/pack-layout.js'
import type { Answer } from '../../src/protocol/replica/replica-replies.js'
import type { OwnElements } from '../../src/protocol/replica/replica-task.js'
import { copyElements, elementCount } from '../../src/tensors/batch/rows.js'
import { newElements } from '../../src/tensors/coerce-elements.js'
import type { Tensor, TensorData, TensorType } from '../../src/tensors/tensor.js'

/** What is left of a pack's buffer, for answers; those that are too large for it travel by themselves. */
export class OutputWriter {
  /** The buffers of those. */
  readonly buffers: ArrayBuffer[] = []
  readonly #buffer: ArrayBuffer
  readonly #isTrusted: boolean
  #offset: number

  /** `isTrusted` says that the buffers of answers can be moved, and that nobody has kept one. */
  constructor(buffer: ArrayBuffer, offset: number, isTrusted: boolean) {
    this.#buffer = buffer
    this.#offset = offset
    this.#isTrusted = isTrusted
  }

  /** Whether the outputs of so many requests, or at least their small parts, go into the buffer. */
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
   * Puts the outputs of so many requests where they can be sent from.
   * @throws ERR_INFERENCE if one does not hold as many elements as its dims say.
   */
  put(outputs: readonly Tensor[], requests: number): Answer {
    return {
      dims: outputs.map(({ dims }) => dims),
      data: outputs.map((output, index) => {
        const { type, dims, data } = output
        const count = elementCount(dims)
        // One whose buffer has moved with another output would leave in the pack what was there before.
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

  /** The whole buffer of an output if nothing else is in there, else a copy. */
  #move({ type, data }: Tensor, outputs: readonly Tensor[]): OwnElements {
    const buffer = bufferOf(data)
    const isWhole = buffer instanceof ArrayBuffer && buffer.byteLength === (data as Uint8Array).byteLength
    const isOwn = isWhole && buffer !== this.#buffer && !this.buffers.includes(buffer)
    const isAlone = isOwn && outputs.filter((other) => bufferOf(other.data) === buffer).length === 1
    const moved = (isAlone ? this.#movable(buffer) : undefined) ?? copied(type, data)
    this.buffers.push(moved)
    return moved
  }

  /** The buffer in a form that nothing keeps from being sent; undefined if there is none. */
  #movable(buffer: ArrayBuffer): ArrayBuffer | undefined {
    if (this.#isTrusted) return buffer
    try {
      // At once: what cannot be moved would cost the answers of the whole pack when they are sent.
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
