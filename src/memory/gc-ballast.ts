import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { memoryLimit } from '../platform/memory-limit.js'
import { processWide } from '../platform/process-wide.js'
import type { TensorData } from '../tensors/tensor.js'

const MIB = 2 ** 20
const BLOCK_BYTES = 4 * MIB
const MAX_BYTES = 256 * MIB
/** A process with little memory lets less of it be dead answers. */
const MAX_SHARE = 1 / 16

/**
 * Lets V8 collect the answers a thread receives once in 256 MiB instead of once in 16.
 *
 * V8 starts a full collection when memory outside of its heap has grown by about 16 MiB (the least
 * step its old generation grows by) since the last one, and an answer that was received counts until
 * it is collected: answers of 1 MiB cost the main thread ten full collections a second, of some
 * milliseconds each. This holds blocks that count the same and gives one up for every 4 MiB of answers,
 * so that the sum stays as it was; when none is left all are taken anew, which starts the one
 * collection. `npm run bench -- loop` shows what it is worth.
 *
 * The blocks are reserved addresses that are never touched: they show in `process.memoryUsage()` as
 * `external` and `arrayBuffers`, not in the resident memory. They are held while there are users.
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

  /** What it holds, in bytes. */
  get heldBytes(): number {
    return this.#blocks.length * BLOCK_BYTES
  }

  /** One more pool gives answers. */
  join(): void {
    this.#users += 1
  }

  /** One pool less; the last one takes everything along. */
  leave(): void {
    this.#users -= 1
    if (this.#users === 0) this.#giveUp(this.#blocks.length)
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
    // An answer larger than what is left starts a collection of its own.
    this.#giveUp(Math.min(blocks, this.#blocks.length))
  }

  #takeAll(): void {
    try {
      while (this.#blocks.length < this.#maxBlocks) {
        // A growable buffer is mapped, never zeroed, whatever memory the allocator has at hand.
        this.#blocks.push(new ArrayBuffer(BLOCK_BYTES, { maxByteLength: BLOCK_BYTES }))
      }
    } catch {
      // No addresses left (ulimit -v): then what there is has to do.
    }
  }

  #giveUp(count: number): void {
    for (let given = 0; given < count; given += 1) {
      // Sent to a port nobody listens at, a buffer is freed at once and not by a later collection.
      this.#sink ??= closedPort()
      this.#sink.postMessage(undefined, [this.#blocks.pop() as ArrayBuffer])
    }
  }
}

/** Returns the one of all copies of this package: the heap of this thread is what the answers are counted for. */
export function sharedBallast(): GcBallast {
  return processWide('gc-ballast', () => new GcBallast(Math.min(MAX_BYTES, memoryLimit() * MAX_SHARE)))
}

function closedPort(): MessagePort {
  const { port1, port2 } = new MessageChannel()
  port2.close()
  return port1
}
