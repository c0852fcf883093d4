import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import { asRuntimeError } from '../../src/protocol/error-codec.js'
import { SENT } from '../../src/protocol/guard-cells.js'
import type { PortTask } from '../../src/protocol/messages.js'
import { failure } from '../failure.js'

/** How long a thread looks for its next task before it goes to sleep: about what waking it up would take. */
const SPIN_MS = 0.05
/** Looks between two at the clock. */
const LOOKS = 64
/** So many tasks that came too late in a row stop the looking until some come in time again. */
const MAX_LUCK = 4

/** An answer and what of it moves to the main thread. */
export interface TaskAnswer {
  readonly reply: unknown
  readonly transfer: ArrayBuffer[]
}

/**
 * Answers the tasks that come by a port. A thread that sleeps takes up to 50 us to be woken, so as long
 * as the next task has lately come sooner than that, this one stays awake for it.
 */
export class TaskLoop {
  readonly #port: MessagePort
  readonly #cells: Int32Array
  readonly #answer: (task: PortTask) => Promise<TaskAnswer>
  #taken = 0
  #idleSinceMs = 0
  #luck = 0

  constructor(port: MessagePort, guard: SharedArrayBuffer, answer: (task: PortTask) => Promise<TaskAnswer>) {
    this.#port = port
    this.#cells = new Int32Array(guard)
    this.#answer = answer
    port.on('message', (task: PortTask) => void this.#take(task))
    // A task that cannot be read, for want of memory: without an answer the main thread would wait for ever.
    port.on('messageerror', (error: unknown) => {
      this.#taken += 1
      port.postMessage(failure(asRuntimeError('ERR_INSUFFICIENT_MEMORY', 'the task cannot be read', error)))
    })
  }

  async #take(first: PortTask): Promise<void> {
    for (let task: PortTask | undefined = first; task !== undefined; task = this.#look()) {
      this.#taken += 1
      const isSoon = performance.now() - this.#idleSinceMs <= SPIN_MS
      this.#luck = isSoon ? MAX_LUCK : Math.max(0, this.#luck - 1)
      this.#send(await this.#answer(task))
      this.#idleSinceMs = performance.now()
    }
  }

  #send({ reply, transfer }: TaskAnswer): void {
    try {
      this.#port.postMessage(reply, transfer)
    } catch (error) {
      this.#port.postMessage(failure(asRuntimeError('ERR_INFERENCE', 'the answers cannot be sent', error)))
    }
  }

  /** The next task if it comes in time. */
  #look(): PortTask | undefined {
    if (this.#luck === 0) return undefined
    do {
      for (let look = 0; look < LOOKS; look += 1) {
        if (Atomics.load(this.#cells, SENT) === this.#taken) continue
        return receiveMessageOnPort(this.#port)?.message as PortTask | undefined
      }
    } while (performance.now() - this.#idleSinceMs < SPIN_MS)
    return undefined
  }
}
