import type { Signature } from '../../tensors/tensor.js'
import type { Failure } from '../failure.js'
import type { SkippedProvider } from '../loader.js'
import type { ModelFile } from '../model-files.js'
import type { Proof, ProofTrial } from './proof.js'
import type { OwnElements } from './replica-task.js'

export interface LoadDone {
  readonly ok: true
  readonly signature: Signature
  /** Names of the execution providers that run it, best first; absent if its loader knows none. */
  readonly providers?: readonly string[] | undefined
  /** Providers that were asked for and cannot be used. */
  readonly skipped?: readonly SkippedProvider[] | undefined
  /** What the source holds; undefined if it is not known what a loader reads. */
  readonly files?: readonly ModelFile[] | undefined
}

/** What one request is answered with, or all of a batch together. */
export interface Answer {
  /** Of each wanted output, in the order in which they were named, else in the signature's. */
  readonly dims: readonly (readonly number[])[]
  /** Where in the pack's buffer its elements begin, or the elements themselves. */
  readonly data: readonly (number | OwnElements)[]
}

/** Of one run: an answer, one for each request of a batch, or why there is none. */
export type RunResult = WholeAnswer | SplitAnswers | Failure

export interface WholeAnswer {
  readonly answer: Answer
  readonly ms: number
}

export interface SplitAnswers {
  readonly answers: readonly (Answer | Failure)[]
  /** Absent if the batch failed and its requests were run one by one. */
  readonly ms: number | undefined
  readonly fault: BatchFault | undefined
  /** Present if the batch was on trial. */
  readonly trial?: TrialResult
}

/** Why requests of this version must not share runs any more. */
export interface BatchFault {
  readonly reason: string
}

export interface RunDone {
  readonly ok: true
  /** Comes back to be used again; absent if the thread keeps it. */
  readonly buffer: ArrayBuffer | undefined
  readonly results: RunResult[]
  /** Whether there is work beside for the thread. */
  readonly hasBackgroundWork: boolean
}

export interface BackgroundDone {
  readonly ok: true
  readonly hasBackgroundWork: boolean
  /** What has become of the proof. */
  readonly proof: Proof | undefined
  /** Wanted before the proof goes on. */
  readonly trial: ProofTrial | undefined
  readonly checks: number
  readonly fault: BatchFault | undefined
}

export interface TrialResult {
  /** Whether answers that are mixed up would have shown. */
  readonly isTelling: boolean
  /** Reason why requests of this shape must share no runs. */
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
