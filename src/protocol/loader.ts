import type { Feeds, Outputs, Signature } from '../tensors/tensor.js'

/** The context that a loader receives in the worker thread. */
export interface LoaderContext {
  readonly model: string
  readonly version: string
  /** Absolute path of the model's file or folder. */
  readonly source: string
  /** ONNX Runtime session options; a loader of another kind may ignore them. */
  readonly sessionOptions: Readonly<Record<string, unknown>>
  /** A structured clone of the model's `config.loaderOptions`. */
  readonly loaderOptions: unknown
  /**
   * Runs `call` when no other native call of this thread is under way, and keeps the thread from being terminated
   * until `call` settles; settles as `call` does. Every call into a native addon, including its import, must be made
   * here.
   */
  native<T>(call: () => T | Promise<T>): Promise<T>
  /** Writes a line to the runtime's logger. */
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string, fields?: Record<string, unknown>): void
}

/** An execution provider that was requested and cannot be used. */
export interface SkippedProvider {
  /** Name of the provider, as session options list it. */
  readonly name: string
  /** Reason why it cannot be used. */
  readonly reason: string
}

/** A loaded model, as a loader returns it. */
export interface LoadedModel {
  /** The inputs and outputs of the model. */
  readonly signature: Signature
  /** Names of the execution providers that run the model, best first; absent if the loader does not know them. */
  readonly providers?: readonly string[]
  /** Execution providers that were requested and cannot be used; may be absent if there are none. */
  readonly skipped?: readonly SkippedProvider[]
  /**
   * Runs the model once. `feeds` match the signature. `outputs` names the outputs to return; absent for all. The
   * buffers of the returned outputs are transferred to the main thread: the loader must not keep them.
   */
  run(feeds: Feeds, outputs: readonly string[] | undefined): Outputs | Promise<Outputs>
  /** Releases everything that the model holds; no run follows. */
  release?(): void | Promise<void>
}

/** The function that a loader module exports as `load`. */
export type LoadModel = (context: LoaderContext) => Promise<LoadedModel>
