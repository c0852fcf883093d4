import { MessageChannel, type MessagePort } from 'node:worker_threads'
import * as Comlink from 'comlink'
import type { RemoteControl, ReplicaControl } from './control.js'
import type { LogLevel } from './log-line.js'

/** Serves, in the replica's thread, the requests that arrive at its end of a `ControlPort`. */
export function exposeControl(control: ReplicaControl, port: MessagePort): void {
  Comlink.expose(control, port as unknown as Comlink.Endpoint)
}

/**
 * The main thread's end of the channel for requests to a thread beside its work. Requests made before the thread has
 * started wait for it. The port does not keep the process alive.
 */
export class ControlPort implements RemoteControl {
  /** The end that is transferred to the thread. */
  readonly remote: MessagePort
  readonly #port: MessagePort
  readonly #replica: Comlink.Remote<ReplicaControl>
  /**
   * Rejects the requests under way, because a call of Comlink never settles when its thread dies. This is a set,
   * because a race with one promise would retain past calls.
   */
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

  /** Rejects the requests under way and all later ones with `why`; the first reason holds. */
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
