import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { encodeError } from '../protocol/error-codec.js'
import type { Failure } from '../protocol/failure.js'
import { buffersOf } from '../protocol/replica/pack-layout.js'
import type { PortTask } from '../protocol/replica/replica-task.js'
import { UnsendableTask } from './replica-host.js'

/**
 * The main thread's end of the channel through which one thread receives packs, one at a time, and sends its replies.
 */
export class TaskPort {
  /** The end that is transferred to the thread. */
  readonly remote: MessagePort
  readonly #port: MessagePort
  #receive: ((reply: unknown) => void) | undefined

  constructor() {
    const { port1, port2 } = new MessageChannel()
    this.remote = port2
    this.#port = port1
    port1.on('message', (reply: unknown) => this.#deliver(reply))
    // A reply that cannot be read for lack of memory must settle its task, whose caller would wait for ever
    // otherwise.
    port1.on('messageerror', (error: unknown) => {
      const cause = encodeError(error)
      this.#deliver({ ok: false, error: { ...cause, code: 'ERR_INSUFFICIENT_MEMORY' } } satisfies Failure)
    })
    // The thread keeps the process alive for a task under way, not this port: the port closes before the thread's end
    // is reported.
    port1.unref()
  }

  /**
   * Sends a task; `receive` is called with its reply.
   * @throws UnsendableTask
   */
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
