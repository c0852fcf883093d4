import { MessageChannel, type MessagePort } from 'node:worker_threads'
import * as Comlink from 'comlink'
import type { RemoteControl, ReplicaControl } from './control.js'
import type { LogLevel } from './log-line.js'

/** In the replica's thread: answers what comes by its end of a `ControlPort`. */
export function exposeControl(control: ReplicaControl, port: MessagePort): void {
  Comlink.expose(control, port as unknown as Comlink.Endpoint)
}

/**
 * The main thread's end of the way by which one thread is asked things beside its work. What is asked before
 * the thread has begun waits for it. It does not keep the process alive.
 */
export class ControlPort implements RemoteControl {
  /** The thread's end. */
  readonly remote: MessagePort
  readonly #port: MessagePort
  readonly #replica: Comlink.Remote<ReplicaControl>
  /** A call of Comlink never settles when its thread dies. A set: a race with one promise would keep past calls. */
  readonly #waiting = new Set<(error: Error) => void>()
  #whyClosed: Error | undefined

  constructor() {
    const { port1, port2 } = new MessageChannel()
    this.remote = port2
    this.#port = port1
    this.#replica = Comlink.wrap<ReplicaControl>(port1 as unknown as Comlink.Endpoint)
    port1.unref()
  }

  describe(): ReturnType<RemoteControl['describe']> {
    return this.#whileOpen(() => this.#replica.describe())
  }

  stats(): ReturnType<RemoteControl['stats']> {
    return this.#whileOpen(() => this.#replica.stats())
  }

  setLogLevel(level: LogLevel): Promise<void> {
    return this.#whileOpen(() => this.#replica.setLogLevel(level))
  }

  /** Rejects what waits and what is asked from now on; the first reason holds. */
  close(why: Error): void {
    if (this.#whyClosed !== undefined) return
    this.#whyClosed = why
    this.#port.close()
    for (const reject of this.#waiting) reject(why)
    this.#waiting.clear()
  }

  #whileOpen<T>(call: () => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#whyClosed !== undefined) return reject(this.#whyClosed)
      this.#waiting.add(reject)
      call()
        .then(resolve, reject)
        .finally(() => this.#waiting.delete(reject))
    })
  }
}
