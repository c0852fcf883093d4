import type { BatchPlan, Tolerance } from '../../tensors/batch/batch-plan.js'
import type { ModelFile } from '../model-files.js'
import type { ProofOrder, Tried } from './proof.js'

export interface LoadTask {
  readonly kind: 'load'
  /** File URL of the loader module; undefined for the built-in ONNX loader. */
  readonly loader: string | undefined
  readonly source: string
  readonly sessionOptions: Readonly<Record<string, unknown>>
  /** The artifact to load instead of the source; undefined if there is none. */
  readonly artifact: ArtifactSource | undefined
  /**
   * The expected files of the source; undefined if they have not been read yet, in which case this load reads them.
   */
  readonly files?: readonly ModelFile[] | undefined
  readonly loaderOptions: unknown
}

export interface ArtifactSource {
  readonly source: string
  readonly sessionOptions: Readonly<Record<string, unknown>>
  /** The expected files of the artifact. */
  readonly files: readonly ModelFile[]
}

/**
 * Elements sent outside of the pack's buffer: a whole buffer and not a view of it, because V8 writes the length of a
 * view in 32 bits, and a view of more than 4 GiB arrives truncated.
 */
export type OwnElements = ArrayBuffer | string[]

/** One run of a pack: a single request, or a batch of several. */
export interface RunShape {
  /** Dims of each input, in the signature's order. */
  readonly dims: readonly (readonly number[])[]
  /** Names of the wanted outputs; undefined for all. */
  readonly outputs: readonly string[] | undefined
  /** Number of rows of each request of a batch; undefined for a single request. */
  readonly rows: readonly number[] | undefined
  /** Length of each request of a padded batch; absent otherwise. */
  readonly lengths?: readonly number[] | undefined
  /** Elements that are not in the pack's buffer, by input: strings, and buffers that moved. */
  readonly separate: readonly (OwnElements | undefined)[] | undefined
  /**
   * The role of the run in proofs. `sample`: an input known to be valid. `typical`: a sample that the user has
   * declared typical. `check`: a batch each request of which is run again alone. A trial: a batch whose outputs no
   * request receives. Undefined: none.
   */
  readonly keep: 'sample' | 'typical' | 'check' | TrialOrder | undefined
}

/**
 * The order of a trial: a batch of a shape that is not proven. Its requests receive the outputs of runs of their own,
 * with which those of the batch are compared.
 */
export interface TrialOrder {
  readonly tolerance: Tolerance
}

/** A pack: runs that are sent in one message and done one after another. */
export interface RunTask {
  readonly kind: 'run'
  /** The elements of all inputs of all runs, each at a multiple of `ALIGNMENT`; outputs are written into the rest. */
  readonly buffer: ArrayBuffer
  readonly runs: readonly RunShape[]
  /** The layout of batches; sent once to each thread, with its first batch. */
  readonly plan: BatchPlan | undefined
}

/** Alignment in bytes of elements in a pack's buffer; it suits every type. */
export const ALIGNMENT = 8

/** Background work for up to `budgetMs`: the proof that requests can share runs, and checks of batches. */
export interface BackgroundTask {
  readonly kind: 'background'
  readonly budgetMs: number
  /** Maximum expected duration of a run; a longer one is not tried. */
  readonly maxRunMs: number
  readonly tolerance: Tolerance
  /** The order of the proof; sent once, to the thread that is to find it. */
  readonly prove: ProofOrder | undefined
  /** The outcome of the trial that the thread has requested; sent once for each trial. */
  readonly tried: Tried | undefined
}

export interface ReleaseTask {
  readonly kind: 'release'
}

/** A task of a replica that holds a model. */
export type PortTask = RunTask | BackgroundTask
export type ReplicaTask = LoadTask | ReleaseTask | PortTask
