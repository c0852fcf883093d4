import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { memoryLimit } from '../platform/memory-limit.js'
import { processWide } from '../platform/process-wide.js'
import type { TensorData } from '../tensors/tensor.js'

const MIB = 2 ** 20
const BLOCK_BYTES = 4 * MIB
const MAX_BYTES = 256 * MIB
/** Limits the ballast in a process with little memory, as it delays the collection of that much garbage. */
const MAX_SHARE = 1 / 16

/**
 * Makes V8 collect received outputs once in 256 MiB instead of once in 16.
 *
 * V8 starts a full collection when memory outside of its heap has grown by about 16 MiB (the least step by which its
 * old generation grows) since the last one, and received outputs count until they are collected: outputs of 1 MiB
 * cost the main thread ten full collections a second, of some milliseconds each. The ballast holds blocks that count
 * in the same way and frees one for every 4 MiB of outputs, so that the sum stays the same; when none is left, it
 * allocates all anew, which starts the one collection. `npm run bench -- loop` measures the gain.
 *
 * The blocks are reserved addresses that are never touched: they show in `process.memoryUsage()` as `external` and
 * `arrayBuffers`, not in the resident memory. They are held while there are users.
 */
export class GcBallast {
  readonly #maxBlocks: number
  readonly #blocks: ArrayBuffer[] = []
  #users = 0
  #owedBytes = 0
  #sink: MessagePort | undefined

  constructor(maxBytes: number) {
    this.#maxBlocks = Math.floor(maxBytes / BLOCK_BYTES)
  }

  /** Number of bytes that the ballast holds. */
  get heldBytes(): number {
    return this.#blocks.length * BLOCK_BYTES
  }

  /** Adds a user: a pool that receives outputs. */
  join(): void {
    this.#users += 1
  }

  /** Removes a user; the last one frees all blocks. */
  leave(): void {
    this.#users -= 1
    if (this.#users === 0) this.#release(this.#blocks.length)
  }

  /** Counts elements that were received from another thread. */
  count(data: TensorData): void {
    if (!ArrayBuffer.isView(data)) return
    this.#owedBytes += data.byteLength
    if (this.#owedBytes >= BLOCK_BYTES) this.#settle()
  }

  #settle(): void {
    const blocks = Math.floor(this.#owedBytes / BLOCK_BYTES)
    this.#owedBytes -= blocks * BLOCK_BYTES
    if (this.#users === 0) return
    if (this.#blocks.length === 0) this.#takeAll()
    // Outputs larger than the remaining blocks start a collection of their own.
    this.#release(Math.min(blocks, this.#blocks.length))
  }

  #takeAll(): void {
    try {
      while (this.#blocks.length < this.#maxBlocks) {
        // A growable buffer is mapped and never zeroed, whatever memory the allocator has available.
        this.#blocks.push(new ArrayBuffer(BLOCK_BYTES, { maxByteLength: BLOCK_BYTES }))
      }
    } catch {
      // The address space is exhausted (ulimit -v); the blocks allocated so far have to do.
    }
  }

  #release(count: number): void {
    for (let released = 0; released < count; released += 1) {
      // A buffer that is sent to a closed port is freed immediately and not by a later collection.
      this.#sink ??= closedPort()
      this.#sink.postMessage(undefined, [this.#blocks.pop() as ArrayBuffer])
    }
  }
}

/** Returns the ballast that all copies of this package share, because it counts for the heap of this thread. */
export function sharedBallast(): GcBallast {
  return processWide('gc-ballast', () => new GcBallast(Math.min(MAX_BYTES, memoryLimit() * MAX_SHARE)))
}

function closedPort(): MessagePort {
  const { port1, port2 } = new MessageChannel()
  port2.close()
  return port1
}
