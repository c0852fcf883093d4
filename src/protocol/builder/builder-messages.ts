import type { Tolerance } from '../../tensors/batch/batch-plan.js'
import type { AxisSet, EmptyAxes } from '../../tensors/input/empty-axes.js'
import type { Signature, Tensor } from '../../tensors/tensor.js'
import type { Failure } from '../failure.js'
import type { Proof, ProofTrial } from '../replica/proof.js'

/**
 * The forms that a model's artifact can have, best first. `external`: optimised, with the weights in a
 * file that is mapped and so shared. `prepacked`: the same with the weights also laid out as the
 * kernels want them, which each session would do for itself otherwise.
 */
export const ARTIFACT_FORMS = ['prepacked', 'external'] as const
export type ArtifactForm = (typeof ARTIFACT_FORMS)[number]

/** Names inside an artifact's folder; there is no second one if no weights are large enough. */
export const ARTIFACT_MODEL = 'model.onnx'
export const ARTIFACT_WEIGHTS = 'weights.bin'

/** What to load: as a replica would. */
export interface BuilderSubject {
  readonly model: string
  readonly version: string
  readonly source: string
  readonly sessionOptions: Readonly<Record<string, unknown>>
}

/** Asks for the content of a model and of the files that it names. */
export interface DigestOrder {
  readonly kind: 'digest'
  readonly source: string
}

/** Asks for the content of files. */
export interface HashOrder {
  readonly kind: 'hash'
  readonly files: readonly string[]
}

/** Has the model loaded and run, to see whether that ends well. */
export interface ProbeOrder extends BuilderSubject {
  readonly kind: 'probe'
  /** Sets of axes of size 0 that have ended a process before; empty in the first order. */
  readonly fatal: readonly AxisSet[]
}

/** Has an artifact built and proven. */
export interface BuildOrder extends BuilderSubject {
  readonly kind: 'build'
  /** To write into: `<folder>/<form>/`. */
  readonly folder: string
  /** To be tried in this order. */
  readonly forms: readonly ArtifactForm[]
  /** Inputs that are known to be valid, in the signature's order; one at least. */
  readonly samples: readonly (readonly Tensor[])[]
  readonly tolerance: Tolerance
}

/** Asks for the proof that requests can share runs, with rows that could be the end of a process. */
export interface TrialOrder extends BuilderSubject {
  readonly kind: 'trial'
  readonly trial: ProofTrial
}

export type BuilderOrder = DigestOrder | HashOrder | ProbeOrder | BuildOrder | TrialOrder

export interface FileHash {
  readonly path: string
  readonly sha256: string
}

/** A file of a model, by the name that the model has for it; empty for the model itself. */
export interface NamedHash extends FileHash {
  readonly name: string
}

export interface DigestDone {
  readonly ok: true
  /** The model's file, then those it names, in the order of their names. */
  readonly files: readonly NamedHash[]
}

export interface HashDone {
  readonly ok: true
  readonly files: readonly FileHash[]
}

export interface ProbeDone {
  readonly ok: true
  readonly signature: Signature
  readonly emptyAxes: EmptyAxes
}

/** Begins the name of a step in which the set of axes whose position follows has size 0. */
export const EMPTY_STEP = 'empty '

export interface TrialDone {
  readonly ok: true
  readonly proof: Proof
}

/** Why a form cannot be used for this model. */
export interface RejectedForm {
  readonly form: ArtifactForm
  readonly reason: string
}

export interface BuildDone {
  readonly ok: true
  /** The first that was proven; undefined if none was. */
  readonly form: ArtifactForm | undefined
  readonly files: readonly FileHash[]
  /** Whether the files are sure to be on the disk. */
  readonly isFlushed: boolean
  readonly rejected: readonly RejectedForm[]
}

/** The reply that belongs to each kind of order. */
export interface BuilderReplies {
  digest: DigestDone
  hash: HashDone
  probe: ProbeDone
  build: BuildDone
  trial: TrialDone
}

/** What the builder sends: what it is about to do, since that may be the end of it, and replies. */
export type BuilderMessage =
  | { readonly kind: 'ready' }
  /** It cannot load any model, whatever the order. */
  | { readonly kind: 'unable'; readonly reason: string }
  | { readonly kind: 'step'; readonly step: string }
  | { readonly kind: 'loaded'; readonly signature: Signature }
  | { readonly kind: 'rejected'; readonly rejected: RejectedForm }
  | { readonly kind: 'reply'; readonly reply: BuilderReplies[keyof BuilderReplies] | Failure }
