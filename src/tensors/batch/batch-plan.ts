/**
 * How requests of a version share one run: along which axis rows are laid one after another.
 * Found and proven by `workers/batch-proof/batch-prover.ts`.
 */
export interface BatchPlan {
  /** Of each input of the signature its batch axis; `SHARED` if all rows of a batch have the same value. */
  readonly inputs: readonly number[]
  /** Of each output of the signature its batch axis. */
  readonly outputs: readonly number[]
  /** Absent if requests of unequal length share no runs. */
  readonly padding: Padding | undefined
}

/** Along which axis inputs of unequal length are filled up with zeros, and outputs cut back. */
export interface Padding {
  /** Of each input of the signature; `SHARED` for one that has no such axis. */
  readonly inputs: readonly number[]
  readonly outputs: readonly number[]
  /** The input whose zeros say what does not count, by its position in the signature; absent if none is named. */
  readonly mask?: number | undefined
  /** The input that says how long a request is, likewise. */
  readonly length?: number | undefined
}

export const SHARED = -1

/** How far numbers may differ: `atol + rtol * |expected|`. */
export interface Tolerance {
  readonly rtol: number
  readonly atol: number
}
