import type { Answer } from '../src/protocol/messages.js'
import { aligned, INLINE_BYTES, viewOf } from '../src/protocol/pack-layout.js'
import { copyElements } from '../src/tensors/rows.js'
import type { Tensor, TensorData } from '../src/tensors/tensor.js'

/** What is left of a pack's buffer, for answers; those that are too large for it travel by themselves. */
export class AnswerRoom {
  /** The buffers of those. */
  readonly transfer: ArrayBuffer[] = []
  readonly #buffer: ArrayBuffer
  readonly #isTrusted: boolean
  #offset: number

  /** `isTrusted` says that answers are typed arrays over buffers that can be moved, or strings. */
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

  /** Puts the outputs of so many requests where they can be sent from. */
  put(outputs: readonly Tensor[], requests: number): Answer {
    return {
      dims: outputs.map(({ dims }) => dims),
      data: outputs.map(({ type, data }) => {
        if (!ArrayBuffer.isView(data)) return this.#isTrusted ? data : structuredClone(data)
        const end = this.#offset + data.byteLength
        if (data.byteLength > requests * INLINE_BYTES || end > this.#buffer.byteLength)
          return this.#move(data)
        const offset = this.#offset
        copyElements(viewOf(type, this.#buffer, offset, data.length), 0, data, 0, data.length)
        this.#offset = aligned(end)
        return offset
      }),
    }
  }

  #move(data: Exclude<TensorData, string[]>): TensorData {
    const { buffer } = data
    let own = data
    if (buffer === this.#buffer || !(buffer instanceof ArrayBuffer)) own = data.slice()
    // What cannot be moved would end the thread when it is sent.
    else if (!this.#isTrusted) own = structuredClone(data, { transfer: [buffer] })
    if (!this.transfer.includes(own.buffer as ArrayBuffer)) this.transfer.push(own.buffer as ArrayBuffer)
    return own
  }
}
