import type { BatchPlan, Padding, Tolerance } from '../../tensors/batch/batch-plan.js'
import type { Tensor } from '../../tensors/tensor.js'

export interface ProofOrder {
  readonly maxRows: number
  readonly tolerance: Tolerance
  /** Padding to prove too; undefined for none. */
  readonly padding: Padding | undefined
  readonly rows: ProofRows
}

/**
 * The inputs that a proof runs. `sent`: only inputs of callers. `made-up`: also rows unlike these, in some sizes.
 * `all`: the same in as many sizes as there is time for. `tried-first`: rows unlike these in a process of their own,
 * because some may crash it, and the inputs of callers here.
 */
export type ProofRows = 'sent' | 'made-up' | 'all' | 'tried-first'

/** Requests a proof in a process of its own. */
export interface ProofTrial {
  /** Inputs known to be valid; at least one. */
  readonly samples: readonly (readonly Tensor[])[]
  /** True if the user has declared one of the samples typical. */
  readonly isTypical: boolean
  readonly order: ProofOrder
  readonly maxRunMs: number
}

/**
 * The outcome of a trial: its proof, or why there is none. `nowhere`: there is no process for it. `unknown`: it ended
 * without a result about the model.
 */
export type Tried = Proof | { readonly state: 'nowhere' } | { readonly state: 'unknown' }

/** The state of the proof that requests can share runs. */
export type Proof =
  | {
      readonly state: 'needs-samples'
      readonly reason: string
      /** True if the only obstacle is that all samples so far have the same outputs. */
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
  /** The inputs of the proof, without elements except for those that all rows share. */
  readonly sample: readonly Tensor[]
  /**
   * Reason why requests of unequal length share no runs although padding is set; undefined if they do, or it is not.
   */
  readonly paddingRefusal: string | undefined
}

/** The duration of a run of `rows` rows. */
export interface RunCost {
  readonly rows: number
  readonly ms: number
}
