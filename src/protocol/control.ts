import { MessageChannel, type MessagePort } from 'node:worker_threads'
import * as Comlink from 'comlink'
import type { Signature } from '../tensors/tensor.js'
import type { LogLevel } from './messages.js'

export interface ReplicaDescription {
  readonly threadId: number
  readonly model: string
  readonly version: string
  /** Absent until the model is loaded. */
  readonly signature: Signature | undefined
  readonly nodeVersion: string
  readonly logLevel: LogLevel
}

export interface ReplicaStats {
  readonly runs: number
  readonly failedRuns: number
  /** Time spent in runs, in milliseconds. */
  readonly busyMs: number
  /** The thread's JavaScript heap in use, in bytes. */
  readonly heapUsedBytes: number
}

/** What can be asked of a replica beside its work; none of it enters native code. */
export interface ReplicaControl {
  describe(): ReplicaDescription
  stats(): ReplicaStats
  setLogLevel(level: LogLevel): void
}

export interface ControlClient {
  describe(): Promise<ReplicaDescription>
  stats(): Promise<ReplicaStats>
  setLogLevel(level: LogLevel): Promise<void>
}

/** In the replica: serves `control`, returns the port for the main thread. */
export function exposeControl(control: ReplicaControl): MessagePort {
  const { port1, port2 } = new MessageChannel()
  Comlink.expose(control, port1 as unknown as Comlink.Endpoint)
  return port2
}

/**
 * On the main thread: a client over `port` that does not keep the process alive.
 * A call of Comlink never settles when its thread dies, so each one is raced with
 * the port's close, and rejects with what `whyGone` returns.
 */
export function connectControl(port: MessagePort, whyGone: () => Error): ControlClient {
  const waiting = new Set<(error: Error) => void>()
  let isClosed = false
  port.once('close', () => {
    isClosed = true
    for (const reject of waiting) reject(whyGone())
    waiting.clear()
  })
  // A set, not Promise.race: racing against one long-lived promise would keep every past call.
  const whileOpen = <T>(call: () => Promise<T>): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      if (isClosed) return reject(whyGone())
      waiting.add(reject)
      call()
        .then(resolve, reject)
        .finally(() => waiting.delete(reject))
    })
  const remote = Comlink.wrap<ReplicaControl>(port as unknown as Comlink.Endpoint)
  port.unref()
  return {
    describe: () => whileOpen(() => remote.describe()),
    stats: () => whileOpen(() => remote.stats()),
    setLogLevel: (level) => whileOpen(() => remote.setLogLevel(level)),
  }
}
