import type { BatchPlan, Padding, Tolerance } from '../tensors/batch-plan.js'
import type { Signature, Tensor } from '../tensors/tensor.js'
import type { EncodedError } from './error-codec.js'
import type { SkippedProvider } from './loader.js'
import type { ModelFile } from './model-files.js'

export const LOG_LEVELS = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

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

export interface TrialResult {
  /** Whether answers that are mixed up would have shown. */
  readonly isTelling: boolean
  /** Reason why requests of this shape must share no runs. */
  readonly reason: string | undefined
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
export interface SideTask {
  readonly kind: 'side'
  readonly budgetMs: number
  /** No run that is expected to take longer is tried. */
  readonly maxRunMs: number
  readonly tolerance: Tolerance
  /** Given once, to the thread that is to find the proof. */
  readonly prove: ProofOrder | undefined
  /** What has become of the trial that the thread has asked for; given once for each. */
  readonly tried: Tried | undefined
}

export interface ProofOrder {
  readonly maxRows: number
  readonly tolerance: Tolerance
  /** To be proven too. */
  readonly padding: Padding | undefined
  readonly rows: ProofRows
}

/**
 * What a proof runs. `sent`: only what callers have sent. `made-up`: also rows unlike these, in some
 * sizes. `all`: the same in as many sizes as there is time for. `tried-first`: rows unlike these in a
 * process of its own, for some are the end of one, and here what callers have sent.
 */
export type ProofRows = 'sent' | 'made-up' | 'all' | 'tried-first'

/** Asks for a proof in a process of its own. */
export interface ProofTrial {
  /** Inputs that are known to be valid; one at least. */
  readonly samples: readonly (readonly Tensor[])[]
  /** Whether one of them is typical by the user's word. */
  readonly isTypical: boolean
  readonly order: ProofOrder
  readonly maxRunMs: number
}

/**
 * What has become of a trial: its proof, or why there is none. `nowhere`: there is no process for it.
 * `unknown`: it ended without a result that says something about the model.
 */
export type Tried = Proof | { readonly state: 'nowhere' } | { readonly state: 'unknown' }

export interface ReleaseTask {
  readonly kind: 'release'
}

/** A task of a replica that holds a model. */
export type PortTask = RunTask | SideTask
export type ReplicaTask = LoadTask | ReleaseTask | PortTask

export interface Failure {
  readonly ok: false
  readonly error: EncodedError
}

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
  readonly hasSideWork: boolean
}

export interface SideDone {
  readonly ok: true
  readonly hasSideWork: boolean
  /** What has become of the proof. */
  readonly proof: Proof | undefined
  /** Wanted before the proof goes on. */
  readonly trial: ProofTrial | undefined
  readonly checks: number
  readonly fault: BatchFault | undefined
}

/** The state of the proof that requests can share runs. */
export type Proof =
  | {
      readonly state: 'needs-samples'
      readonly reason: string
      /** Whether nothing but their likeness speaks against the samples so far. */
      readonly isUnanimous?: boolean
    }
  | { readonly state: 'proving' }
  | { readonly state: 'refused'; readonly reason: string }
  | Proven

export interface Proven {
  readonly state: 'proven'
  readonly plan: BatchPlan
  readonly maxRows: number
  readonly costs: readonly RunCost[]
  /** The inputs it was found with; without elements, but for those that all rows share. */
  readonly sample: readonly Tensor[]
  /** Why requests of unequal length share no runs although they are meant to. */
  readonly paddingRefusal: string | undefined
}

/** What a run of so many rows took. */
export interface RunCost {
  readonly rows: number
  readonly ms: number
}

export interface ReleaseDone {
  readonly ok: true
}

/** The reply that belongs to each kind of task. */
export interface ReplicaReplies {
  load: LoadDone | Failure
  run: RunDone | Failure
  side: SideDone | Failure
  release: ReleaseDone | Failure
}

/** A line for the logger, which a replica sends outside of replies. */
export interface LogLine {
  readonly kind: 'log'
  readonly level: Exclude<LogLevel, 'silent'>
  readonly message: string
  readonly fields: Record<string, unknown>
}

export function isLogLine(message: unknown): message is LogLine {
  if (!isObject(message)) return false
  const { kind, level, message: text, fields } = message as Partial<LogLine>
  const isLevel = level !== ('silent' as LogLevel) && LOG_LEVELS.some((known) => known === level)
  return kind === 'log' && isLevel && typeof text === 'string' && isObject(fields)
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
