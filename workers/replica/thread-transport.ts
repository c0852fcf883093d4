import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import { asRuntimeError } from '../../src/protocol/error-codec.js'
import { failure } from '../../src/protocol/failure.js'
import { SENT } from '../../src/protocol/guard/guard-cells.js'
import type { PortTask } from '../../src/protocol/replica/replica-task.js'
import type { TaskTransport } from './parent.js'

/** A thread's end of a port. Memory that it shares with the other end counts the tasks that were sent. */
export class ThreadTransport implements TaskTransport {
  readonly #port: MessagePort
  readonly #cells: Int32Array
  #taken = 0

  constructor(port: MessagePort, guard: SharedArrayBuffer) {
    this.#port = port
    this.#cells = new Int32Array(guard)
  }

  get hasTask(): boolean {
    return Atomics.load(this.#cells, SENT) !== this.#taken
  }

  listen(take: (task: PortTask) => void): void {
    this.#port.on('message', (task: PortTask) => {
      this.#taken += 1
      take(task)
    })
    // A task cannot be read if memory is short; without a reply the other end would wait for ever.
    this.#port.on('messageerror', (error: unknown) => {
      this.#taken += 1
      const cause = asRuntimeError('ERR_INSUFFICIENT_MEMORY', 'the task cannot be read', error)
      this.#port.postMessage(failure(cause))
    })
  }

  next(): PortTask | undefined {
    const task = receiveMessageOnPort(this.#port)?.message as PortTask | undefined
    if (task !== undefined) this.#taken += 1
    return task
  }

  send(reply: unknown, buffers: ArrayBuffer[]): void {
    this.#port.postMessage(reply, buffers)
  }
}
