/**
 * The plan by which requests of a version share one run: the axes along which their rows are joined.
 * `workers/batch-proof/batch-prover.ts` finds and proves it.
 */
export interface BatchPlan {
  /** The batch axis of each input of the signature; `SHARED` if all rows of a batch have the same value. */
  readonly inputs: readonly number[]
  /** The batch axis of each output of the signature. */
  readonly outputs: readonly number[]
  /** Absent if requests of unequal length share no runs. */
  readonly padding: Padding | undefined
}

/** The axes along which inputs of unequal length are padded with zeros, and outputs are cut back. */
export interface Padding {
  /** The padded axis of each input of the signature; `SHARED` for an input without one. */
  readonly inputs: readonly number[]
  /** The axis along which each output is cut; `SHARED` for an output without one. */
  readonly outputs: readonly number[]
  /** Position in the signature of the input whose zeros mark padding; absent if there is none. */
  readonly mask?: number | undefined
  /** Position in the signature of the input that holds the length of a request; absent if there is none. */
  readonly length?: number | undefined
}

/** The axis of a tensor that has none: requests of a run have the same value, or keep their size. */
export const SHARED = -1

/** The largest allowed difference of numbers: `atol + rtol * |expected|`. */
export interface Tolerance {
  readonly rtol: number
  readonly atol: number
}
