import type { TrialResult } from '../../protocol/replica/replica-replies.js'

/**
 * The factor by which trials grow: the first has this number of requests, each later one this multiple of the proven
 * rows.
 */
const TRIAL_FACTOR = 4

/**
 * The findings about one shape of requests: up to which number of rows a batch gives each of them the outputs that it
 * has alone. For the shape of its sample the proof has shown that. For any other shape, batches are trials first,
 * whose outputs no request receives: of four requests, then of four times the rows that have passed.
 */
export class ShapeProof {
  /** Largest number of rows that has passed. */
  provenRows = 0
  /** Reason why no more trials are made; undefined while some may be. */
  refusal: string | undefined
  /** Number of trials without a finding since the last one that passed. */
  #inconclusive = 0
  /** Number of choices between a batch and single runs until the next trial. */
  #choicesToSkip = 0

  /** Returns the maximum number of rows of the next batch of requests with `rows` rows each. */
  mostRows(rows: number): number {
    if (this.refusal !== undefined || this.#choicesToSkip > 0) return this.provenRows
    return TRIAL_FACTOR * Math.max(this.provenRows, rows)
  }

  /** Counts a choice between a batch and single runs. */
  countChoice(): void {
    if (this.#choicesToSkip > 0) this.#choicesToSkip -= 1
  }

  learn(rows: number, { isTelling, reason }: TrialResult): void {
    // A trial that began before the refusal may still report.
    if (this.refusal !== undefined) return
    if (reason !== undefined) {
      this.refusal = reason
      this.provenRows = 0
    } else if (isTelling) {
      this.provenRows = Math.max(this.provenRows, rows)
      this.#inconclusive = 0
    } else {
      // Trials become ever rarer, because others like these show nothing either.
      this.#inconclusive += 1
      this.#choicesToSkip = TRIAL_FACTOR ** this.#inconclusive
    }
  }
}
