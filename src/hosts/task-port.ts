import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { encodeError } from '../protocol/error-codec.js'
import type { Failure } from '../protocol/failure.js'
import { buffersOf } from '../protocol/replica/pack-layout.js'
import type { PortTask } from '../protocol/replica/replica-task.js'
import { UnsendableTask } from './replica-host.js'

/** The main thread's end of the way by which one thread is given packs, one at a time, and answers them. */
export class TaskPort {
  /** The thread's end. */
  readonly remote: MessagePort
  readonly #port: MessagePort
  #receive: ((reply: unknown) => void) | undefined

  constructor() {
    const { port1, port2 } = new MessageChannel()
    this.remote = port2
    this.#port = port1
    port1.on('message', (reply: unknown) => this.#deliver(reply))
    // A reply that cannot be read, for want of memory: its caller would wait for ever.
    port1.on('messageerror', (error: unknown) => {
      const cause = encodeError(error)
      this.#deliver({ ok: false, error: { ...cause, code: 'ERR_INSUFFICIENT_MEMORY' } } satisfies Failure)
    })
    // Whoever waits keeps the process alive by the thread: this end closes before the thread's end is told.
    port1.unref()
  }

  /** @throws UnsendableTask */
  send(task: PortTask, receive: (reply: unknown) => void): void {
    try {
      this.#port.postMessage(task, task.kind === 'run' ? buffersOf(task) : [])
    } catch (error) {
      throw new UnsendableTask(error)
    }
    this.#receive = receive
  }

  close(): void {
    this.#receive = undefined
    this.#port.close()
  }

  #deliver(reply: unknown): void {
    const receive = this.#receive
    this.#receive = undefined
    receive?.(reply)
  }
}
