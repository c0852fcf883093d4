import type { Feeds, Outputs, Signature } from '../tensors/tensor.js'

/** What a loader is given in the worker thread. */
export interface LoaderContext {
  readonly model: string
  readonly version: string
  /** Absolute path of the model's file or folder. */
  readonly source: string
  /** ONNX Runtime session options; a loader of another kind may ignore them. */
  readonly sessionOptions: Readonly<Record<string, unknown>>
  /** The model's `config.loaderOptions`, as it was given (structured-cloned). */
  readonly loaderOptions: unknown
  /**
   * Runs `call` when no other native call of this thread is under way, and keeps
   * the thread from being terminated meanwhile. Every call into a native addon,
   * its import included, belongs in here.
   */
  native<T>(call: () => T | Promise<T>): Promise<T>
  /** Writes a line to the runtime's logger. */
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string, fields?: Record<string, unknown>): void
}

/** An execution provider that was asked for and cannot be used. */
export interface SkippedProvider {
  readonly name: string
  readonly reason: string
}

/** What a loader makes of a source: something that runs. */
export interface LoadedModel {
  readonly signature: Signature
  /** Names of the execution providers that run it, best first; absent if it knows none. */
  readonly providers?: readonly string[]
  readonly skipped?: readonly SkippedProvider[]
  /**
   * Runs once. `feeds` match the signature. `outputs` names the wanted outputs, all if
   * absent. The buffers of what it returns are transferred away: they must not be kept.
   */
  run(feeds: Feeds, outputs: readonly string[] | undefined): Outputs | Promise<Outputs>
  /** Gives back what it holds; no run follows. */
  release?(): void | Promise<void>
}

/** A loader module exports this function as `load`. */
export type LoadModel = (context: LoaderContext) => Promise<LoadedModel>
