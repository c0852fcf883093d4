import type { BatchPlan, Padding, Tolerance } from '../../tensors/batch/batch-plan.js'
import type { Tensor } from '../../tensors/tensor.js'

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
