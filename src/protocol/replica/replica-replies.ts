import type { Signature } from '../../tensors/tensor.js'
import type { Failure } from '../failure.js'
import type { SkippedProvider } from '../loader.js'
import type { ModelFile } from '../model-files.js'
import type { Proof, ProofTrial } from './proof.js'
import type { OwnElements } from './replica-task.js'

export interface LoadDone {
  readonly ok: true
  readonly signature: Signature
  /** Names of the execution providers that run the model, best first; absent if its loader does not know them. */
  readonly providers?: readonly string[] | undefined
  /** Execution providers that were requested and cannot be used. */
  readonly skipped?: readonly SkippedProvider[] | undefined
  /** The files of the source; undefined if it is not known which files the loader reads. */
  readonly files?: readonly ModelFile[] | undefined
}

/** The outputs of one request, or of a whole batch. */
export interface EncodedOutputs {
  /** Dims of each wanted output, in the order of the request's output names, else in the signature's order. */
  readonly dims: readonly (readonly number[])[]
  /** Offset of each output's elements in the pack's buffer, or the elements themselves. */
  readonly data: readonly (number | OwnElements)[]
}

/** The result of one run: its outputs, those of each request of a batch, or the error. */
export type RunResult = WholeResult | SplitResult | Failure

export interface WholeResult {
  readonly answer: EncodedOutputs
  readonly ms: number
}

export interface SplitResult {
  readonly answers: readonly (EncodedOutputs | Failure)[]
  /** Duration of the batch in milliseconds; undefined if it failed and its requests were run one by one. */
  readonly ms: number | undefined
  readonly fault: BatchFault | undefined
  /** Result of the trial; absent if the batch was not on trial. */
  readonly trial?: TrialResult
}

/** The reason why requests of this version must not share runs any more. */
export interface BatchFault {
  readonly reason: string
}

export interface RunDone {
  readonly ok: true
  /** The pack's buffer, to be used again; undefined if the thread keeps it. */
  readonly buffer: ArrayBuffer | undefined
  readonly results: RunResult[]
  /** True if the thread has background work to do. */
  readonly hasBackgroundWork: boolean
}

export interface BackgroundDone {
  readonly ok: true
  readonly hasBackgroundWork: boolean
  /** The new state of the proof; undefined if it has not changed. */
  readonly proof: Proof | undefined
  /** A trial that the proof needs before it can go on. */
  readonly trial: ProofTrial | undefined
  readonly checks: number
  readonly fault: BatchFault | undefined
}

export interface TrialResult {
  /** True if the trial would have shown outputs assigned to the wrong request. */
  readonly isTelling: boolean
  /** Reason why requests of this shape must not share runs; undefined if the trial passed. */
  readonly reason: string | undefined
}

export interface ReleaseDone {
  readonly ok: true
}

/** The reply that belongs to each kind of task. */
export interface ReplicaReplies {
  load: LoadDone | Failure
  run: RunDone | Failure
  background: BackgroundDone | Failure
  release: ReleaseDone | Failure
}
