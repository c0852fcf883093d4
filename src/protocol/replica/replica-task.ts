import type { BatchPlan, Tolerance } from '../../tensors/batch/batch-plan.js'
import type { ModelFile } from '../model-files.js'
import type { ProofOrder, Tried } from './proof.js'

export interface LoadTask {
  readonly kind: 'load'
  /** File URL of the loader module; none for the built-in ONNX loader. */
  readonly loader: string | undefined
  readonly source: string
  readonly sessionOptions: Readonly<Record<string, unknown>>
  /** To be loaded instead of the source; undefined if there is none. */
  readonly artifact: ArtifactSource | undefined
  /** What the source has to hold; undefined if nobody has read it yet, which this load does then. */
  readonly files?: readonly ModelFile[] | undefined
  readonly loaderOptions: unknown
}

export interface ArtifactSource {
  readonly source: string
  readonly sessionOptions: Readonly<Record<string, unknown>>
  /** What the artifact has to hold. */
  readonly files: readonly ModelFile[]
}

/**
 * Elements that travel by themselves. A whole buffer and not a view of it: V8 writes the length of a
 * view in 32 bits, and one of more than 4 GiB arrives cut short.
 */
export type OwnElements = ArrayBuffer | string[]

/** One run of a pack: a request by itself, or a batch of several. */
export interface RunShape {
  /** Of each input, in the signature's order. */
  readonly dims: readonly (readonly number[])[]
  /** Names of the wanted outputs, all if absent. */
  readonly outputs: readonly string[] | undefined
  /** Of a batch the rows of each request in it; undefined for a request by itself. */
  readonly rows: readonly number[] | undefined
  /** Length of each request of a batch whose requests were filled up; absent otherwise. */
  readonly lengths?: readonly number[] | undefined
  /** What is not in the buffer, by input: strings, and buffers that moved. */
  readonly given: readonly (OwnElements | undefined)[] | undefined
  /**
   * What the thread remembers of it: a `sample` is an input known to be valid, a `typical` one is that by
   * the user's word, and of a batch to `check` each request is run again. A batch on trial answers nobody.
   */
  readonly keep: 'sample' | 'typical' | 'check' | TrialOrder | undefined
}

/** A batch of a shape that is not proven: its requests are answered by runs of their own, with which it is compared. */
export interface TrialOrder {
  readonly tolerance: Tolerance
}

/** A pack: runs that travel together and are done one after another. */
export interface RunTask {
  readonly kind: 'run'
  /** The elements of all inputs of all runs, each from a multiple of `ALIGNMENT`; answers fill the rest. */
  readonly buffer: ArrayBuffer
  readonly runs: readonly RunShape[]
  /** How batches are laid out; told once to each thread, with its first batch. */
  readonly plan: BatchPlan | undefined
}

/** So that elements of every type are aligned in a buffer. */
export const ALIGNMENT = 8

/** Work beside the callers' for up to `budgetMs`: the proof that requests can share runs, checks of batches. */
export interface BackgroundTask {
  readonly kind: 'background'
  readonly budgetMs: number
  /** No run that is expected to take longer is tried. */
  readonly maxRunMs: number
  readonly tolerance: Tolerance
  /** Given once, to the thread that is to find the proof. */
  readonly prove: ProofOrder | undefined
  /** What has become of the trial that the thread has asked for; given once for each. */
  readonly tried: Tried | undefined
}

export interface ReleaseTask {
  readonly kind: 'release'
}

/** A task of a replica that holds a model. */
export type PortTask = RunTask | BackgroundTask
export type ReplicaTask = LoadTask | ReleaseTask | PortTask
