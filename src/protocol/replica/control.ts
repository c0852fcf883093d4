import type { Signature } from '../../tensors/tensor.js'
import type { LogLevel } from './log-line.js'

export interface ReplicaDescription {
  readonly threadId: number
  readonly model: string
  readonly version: string
  /** The model's signature; undefined until the model is loaded. */
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

/** Requests that a replica serves beside its work; none of them enters native code. */
export interface ReplicaControl {
  describe(): ReplicaDescription
  stats(): ReplicaStats
  setLogLevel(level: LogLevel): void
}

/** The same requests made from the main thread: each rejects once the replica has ended. */
export type RemoteControl = {
  [K in keyof ReplicaControl]: (
    ...args: Parameters<ReplicaControl[K]>
  ) => Promise<ReturnType<ReplicaControl[K]>>
}
