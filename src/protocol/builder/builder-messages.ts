import type { Tolerance } from '../../tensors/batch/batch-plan.js'
import type { AxisSet, EmptyAxes } from '../../tensors/input/empty-axes.js'
import type { Signature, Tensor } from '../../tensors/tensor.js'
import type { Failure } from '../failure.js'
import type { Proof, ProofTrial } from '../replica/proof.js'

/**
 * The forms that a model's artifact can have, best first. `external`: the optimised model, with its weights in a file
 * that is mapped and therefore shared. `prepacked`: the same with the weights also laid out for the kernels, which
 * each session would otherwise do for itself.
 */
export const ARTIFACT_FORMS = ['prepacked', 'external'] as const
export type ArtifactForm = (typeof ARTIFACT_FORMS)[number]

/** Names of the files in an artifact's folder. There is no weights file if no weights are large enough. */
export const ARTIFACT_MODEL = 'model.onnx'
export const ARTIFACT_WEIGHTS = 'weights.bin'

/** The model that the builder loads, in the way in which a replica would load it. */
export interface BuilderSubject {
  readonly model: string
  readonly version: string
  readonly source: string
  readonly sessionOptions: Readonly<Record<string, unknown>>
}

/** Requests hashes of a model's file and of the files that it names. */
export interface DigestOrder {
  readonly kind: 'digest'
  readonly source: string
}

/** Requests hashes of files. */
export interface HashOrder {
  readonly kind: 'hash'
  readonly files: readonly string[]
}

/** Requests a probe: the builder loads and runs the model, to find out whether that crashes a process. */
export interface ProbeOrder extends BuilderSubject {
  readonly kind: 'probe'
  /** Sets of axes that crashed an earlier process when they had size 0; empty in the first order. */
  readonly fatal: readonly AxisSet[]
}

/** Requests an artifact, which the builder builds and proves. */
export interface BuildOrder extends BuilderSubject {
  readonly kind: 'build'
  /** Folder into which the builder writes; a form has the folder `<folder>/<form>/`. */
  readonly folder: string
  /** Forms to try, in this order. */
  readonly forms: readonly ArtifactForm[]
  /** Inputs known to be valid, in the signature's order; at least one. */
  readonly samples: readonly (readonly Tensor[])[]
  readonly tolerance: Tolerance
}

/** Requests the proof that requests can share runs, with rows that could crash a process. */
export interface TrialOrder extends BuilderSubject {
  readonly kind: 'trial'
  readonly trial: ProofTrial
}

export type BuilderOrder = DigestOrder | HashOrder | ProbeOrder | BuildOrder | TrialOrder

export interface FileHash {
  readonly path: string
  readonly sha256: string
}

/**
 * The hash of a file of a model, with the name by which the model refers to it; the name is empty for the model
 * itself.
 */
export interface NamedHash extends FileHash {
  readonly name: string
}

export interface DigestDone {
  readonly ok: true
  /** The model's file, then the files that it names, in the order of their names. */
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

/** Prefix of the name of a step in which a set of axes has size 0; the index of the set follows. */
export const EMPTY_STEP = 'empty '

export interface TrialDone {
  readonly ok: true
  readonly proof: Proof
}

/** A form that cannot be used for this model, with the reason. */
export interface RejectedForm {
  readonly form: ArtifactForm
  readonly reason: string
}

export interface BuildDone {
  readonly ok: true
  /** The first form that was proven; undefined if none was. */
  readonly form: ArtifactForm | undefined
  readonly files: readonly FileHash[]
  /** True if the files are certain to be on the disk. */
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

/** A message of the builder: a reply, or a step that it is about to take, since that step may crash it. */
export type BuilderMessage =
  | { readonly kind: 'ready' }
  /** The builder cannot load any model, whatever the order. */
  | { readonly kind: 'unable'; readonly reason: string }
  | { readonly kind: 'step'; readonly step: string }
  | { readonly kind: 'loaded'; readonly signature: Signature }
  | { readonly kind: 'rejected'; readonly rejected: RejectedForm }
  | { readonly kind: 'reply'; readonly reply: BuilderReplies[keyof BuilderReplies] | Failure }
