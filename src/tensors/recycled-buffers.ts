import { errors, messageOf } from '../errors/errors.js'

const SMALLEST_BYTES = 1_024
/** Default limit on the bytes of idle buffers that are kept. */
const MAX_KEPT_BYTES = 64 * 2 ** 20

/**
 * Buffers that are transferred to a thread with a pack and come back with its outputs. Sizes are powers of
 * two, so that packs of about the same size share them.
 */
export class RecycledBuffers {
  readonly #maxBytes: number
  /** Idle buffers, by the power of two. */
  readonly #kept: ArrayBuffer[][] = []
  #keptBytes = 0

  constructor(maxBytes = MAX_KEPT_BYTES) {
    this.#maxBytes = maxBytes
  }

  get keptBytes(): number {
    return this.#keptBytes
  }

  /**
   * Returns a buffer of at least `bytes`, with the content that the last pack left.
   * @throws ERR_INSUFFICIENT_MEMORY if the buffer cannot be allocated
   */
  take(bytes: number): ArrayBuffer {
    const power = powerOf(bytes)
    const buffer = this.#kept[power]?.pop()
    if (buffer === undefined) return newBuffer(2 ** power)
    this.#keptBytes -= buffer.byteLength
    return buffer
  }

  /**
   * Keeps a buffer for the next pack; leaves it to the garbage collector if it is not from here, or exceeds
   * the limit.
   */
  give(buffer: ArrayBuffer): void {
    const bytes = buffer.byteLength
    const power = powerOf(bytes)
    if (bytes !== 2 ** power || this.#keptBytes + bytes > this.#maxBytes) return
    this.#kept[power] ??= []
    this.#kept[power].push(buffer)
    this.#keptBytes += bytes
  }

  /** Drops all kept buffers. */
  clear(): void {
    this.#kept.length = 0
    this.#keptBytes = 0
  }
}

function newBuffer(bytes: number): ArrayBuffer {
  try {
    return new ArrayBuffer(bytes)
  } catch (cause) {
    throw new errors.ERR_INSUFFICIENT_MEMORY(
      `cannot allocate ${bytes} bytes for the inputs of a run: ${messageOf(cause)}`,
      { cause, neededBytes: bytes },
    )
  }
}

function powerOf(bytes: number): number {
  return Math.ceil(Math.log2(Math.max(SMALLEST_BYTES, bytes)))
}
