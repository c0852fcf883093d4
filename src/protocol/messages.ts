import type { MessagePort } from 'node:worker_threads'
import type { Feeds, Signature, Tensor } from '../tensors/tensor.js'
import type { EncodedError } from './error-codec.js'

export const LOG_LEVELS = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** What a replica thread is born with. */
export interface ReplicaData {
  /** Memory of the guard's cells, shared with the main thread. */
  readonly guard: SharedArrayBuffer
  readonly model: string
  readonly version: string
  readonly logLevel: LogLevel
}

export interface LoadTask {
  readonly kind: 'load'
  /** File URL of the loader module; none for the built-in ONNX loader. */
  readonly loader: string | undefined
  readonly source: string
  readonly sessionOptions: Readonly<Record<string, unknown>>
  readonly loaderOptions: unknown
}

export interface RunTask {
  readonly kind: 'run'
  readonly feeds: Feeds
  readonly outputs: readonly string[] | undefined
}

export interface ReleaseTask {
  readonly kind: 'release'
}

export type ReplicaTask = LoadTask | RunTask | ReleaseTask

export interface Failure {
  readonly ok: false
  readonly error: EncodedError
}

export interface LoadDone {
  readonly ok: true
  readonly signature: Signature
}

export interface RunDone {
  readonly ok: true
  /** Taken out by who receives it. */
  outputs: Record<string, Tensor>
}

export interface ReleaseDone {
  readonly ok: true
}

/** The reply that belongs to each kind of task. */
export interface ReplicaReplies {
  load: LoadDone | Failure
  run: RunDone | Failure
  release: ReleaseDone | Failure
}

/** What a replica sends outside of replies. */
export type ReplicaMessage =
  | { readonly kind: 'control-port'; readonly port: MessagePort }
  | {
      readonly kind: 'log'
      readonly level: Exclude<LogLevel, 'silent'>
      readonly message: string
      readonly fields: Record<string, unknown>
    }
