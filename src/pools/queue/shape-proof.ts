import type { TrialResult } from '../../protocol/replica/replica-replies.js'

/** A trial has so many requests, or so many times the rows that are proven. */
const TRIAL_FACTOR = 4

/**
 * What is known of one shape of requests: up to how many rows a batch answers each of them as if it were
 * alone. The proof has shown that for the shape of its sample. For any other, batches are trials that
 * nobody is answered from, of four requests first, then of four times the rows that have passed.
 */
export class ShapeProof {
  /** Largest number of rows that have passed. */
  provenRows = 0
  /** Reason why no more trials are made; undefined while some may be. */
  refusal: string | undefined
  /** Trials that have shown nothing since one has passed. */
  #idle = 0
  /** Choices between a batch and its requests one by one until the next trial. */
  #waits = 0

  /** Returns the most rows of the next batch of requests with so many rows each. */
  mostRows(rows: number): number {
    if (this.refusal !== undefined || this.#waits > 0) return this.provenRows
    return TRIAL_FACTOR * Math.max(this.provenRows, rows)
  }

  /** Counts a choice between a batch and its requests one by one. */
  choose(): void {
    if (this.#waits > 0) this.#waits -= 1
  }

  learn(rows: number, { isTelling, reason }: TrialResult): void {
    // A trial that began before another was refused.
    if (this.refusal !== undefined) return
    if (reason !== undefined) {
      this.refusal = reason
      this.provenRows = 0
    } else if (isTelling) {
      this.provenRows = Math.max(this.provenRows, rows)
      this.#idle = 0
    } else {
      // Ever more seldom: others like these show nothing either.
      this.#idle += 1
      this.#waits = TRIAL_FACTOR ** this.#idle
    }
  }
}
