import type { Proof, ProofOrder, ProofTrial, Tried } from '../../protocol/replica/proof.js'
import type { BatchFault, TrialResult } from '../../protocol/replica/replica-replies.js'
import type { TrialOrder } from '../../protocol/replica/replica-task.js'
import { type BatchPlan, type Padding, SHARED, type Tolerance } from '../../tensors/batch/batch-plan.js'
import { byName } from '../../tensors/by-name.js'
import type { Signature } from '../../tensors/tensor.js'
import type { RunRequests } from '../queue/planned-run.js'
import type { RunRequest } from '../queue/run-request.js'
import type { ShapeBucket } from '../queue/shape-bucket.js'
import { BatchShapes } from './batch-shapes.js'
import { type PaddingSettings, paddingSettings } from './padding-settings.js'

export interface BatchingSettings {
  /** Maximum number of rows of a batch. */
  readonly maxRows: number
  /** Maximum time in milliseconds for which a request waits for others although a replica is idle. */
  readonly maxDelayMs: number
  readonly tolerance: Tolerance
  readonly padding?: PaddingSettings | undefined
  /** Maximum duration in milliseconds of one stretch of background work between requests. */
  readonly proofBudgetMs: number
  /** The inputs that the proof runs in a replica if `tryFirst` is absent; default: `made-up`. */
  readonly rows?: 'sent' | 'made-up' | undefined
  /** Tries batches in another process; absent if there is none. */
  readonly tryFirst?: ((trial: ProofTrial) => Promise<Tried>) | undefined
}

/** The findings about a version's batching. They outlive its pools, because a version never changes. */
export interface BatchingMemory {
  proof: Extract<Proof, { state: 'proven' | 'refused' }> | undefined
}

/**
 * State of a pool's batching. `off`: disabled. `needs-samples`, `proving`: not decided yet. `proven`, `refused`:
 * decided.
 */
export type BatchingState = 'off' | Proof['state']

/** Statistics of the batching of one version. */
export interface BatchingStats {
  readonly state: BatchingState
  /** Reason why requests share no runs, or do not share any yet; undefined while they may. */
  readonly reason: string | undefined
  /**
   * Batch axis of each input and output by name, `shared` for one whose value all rows of a batch have in common;
   * undefined unless batching is proven.
   */
  readonly axes: Readonly<Record<string, number | 'shared'>> | undefined
  /** Maximum number of rows of a batch, as far as proven; 0 unless batching is proven. */
  readonly maxRows: number
  /** Number of batches of two or more requests so far. */
  readonly batches: number
  /** Number of requests that were run in these batches. */
  readonly batchedRequests: number
  /**
   * Reason why requests of unequal length share no runs although `padding` is set; undefined if they do, or it is not
   * set.
   */
  readonly paddingRefusal: string | undefined
  /** Latest reason why requests of some shape share no runs although others do; undefined if all may. */
  readonly shapeRefusal: string | undefined
  /** Number of batches whose outputs were compared with those of their requests alone. */
  readonly checks: number
  /**
   * Part of a run's duration that each row adds, in milliseconds, as last measured; undefined until batching was
   * proven.
   */
  readonly perRowMs: number | undefined
  /** Part of a run's duration that does not depend on its rows, in milliseconds; undefined until batching was proven. */
  readonly perRunMs: number | undefined
}

/** Number of batches of a pool that are checked first; later one in `CHECK_EVERY` is. */
const FIRST_CHECKS = 64
const CHECK_EVERY = 10_000

/** Decides whether and how requests of a pool may share runs, and keeps the statistics. */
export class Batching {
  readonly settings: BatchingSettings | undefined
  readonly #memory: BatchingMemory
  #state: BatchingState = 'off'
  #reason: string | undefined
  #signature: Signature | undefined
  #plan: BatchPlan | undefined
  #padding: Padding | undefined
  #paddingRefusal: string | undefined
  #shapeRefusal: string | undefined
  #maxRows = 0
  #shapes: BatchShapes | undefined
  #batches = 0
  #batchedRequests = 0
  #checks = 0
  #nextCheck = 0

  constructor(settings: BatchingSettings | undefined, memory: BatchingMemory) {
    this.settings = settings
    this.#memory = memory
    if (settings === undefined) this.#reason = 'batching is disabled'
  }

  get plan(): BatchPlan | undefined {
    return this.#plan
  }

  get maxRows(): number {
    return this.#maxRows
  }

  /** True while a thread should look for the proof. */
  get isUndecided(): boolean {
    return this.#state === 'needs-samples' || this.#state === 'proving'
  }

  get order(): ProofOrder {
    const { maxRows, tolerance, rows = 'made-up', tryFirst } = this.settings as BatchingSettings
    return { maxRows, tolerance, padding: this.#padding, rows: tryFirst === undefined ? rows : 'tried-first' }
  }

  /** Begins with the model's signature. To be called when the model is loaded. */
  open(signature: Signature): void {
    this.#signature = signature
    if (this.settings === undefined) return
    const { padding } = this.settings
    if (padding !== undefined) this.#padding = paddingSettings(padding, signature)
    if (!signature.inputs.some(({ dims }) => dims.some((dim) => typeof dim === 'string'))) {
      this.learn({ state: 'refused', reason: 'no input has a free dimension' })
    } else {
      this.learn(this.#memory.proof ?? { state: 'needs-samples', reason: 'no request has been answered yet' })
    }
  }

  /** Takes a new state of the proof; returns true if batching is decided by it. */
  learn(proof: Proof): boolean {
    if (this.settings === undefined || this.#state === 'refused') return false
    this.#state = proof.state
    this.#reason = 'reason' in proof ? proof.reason : undefined
    if (proof.state === 'refused') this.#plan = undefined
    if (proof.state === 'proven') {
      this.#plan = proof.plan
      this.#paddingRefusal = proof.paddingRefusal
      this.#maxRows = Math.min(proof.maxRows, this.settings.maxRows)
      this.#shapes = new BatchShapes(proof)
    }
    if (proof.state !== 'proven' && proof.state !== 'refused') return false
    this.#memory.proof = proof
    return true
  }

  /** Disables batching for good; returns true if it was not disabled before. */
  disable({ reason }: BatchFault): boolean {
    return this.learn({ state: 'refused', reason })
  }

  /** Discards the findings of a proof that was lost with its thread. */
  restart(): void {
    if (!this.isUndecided) return
    this.#state = 'needs-samples'
  }

  /**
   * Returns the bucket of the requests with which this one may share a run, and sets its rows; undefined if there is
   * none.
   */
  bucketOf(request: RunRequest): ShapeBucket<RunRequest> | undefined {
    return this.#plan === undefined || !request.mayShareRun ? undefined : this.#shapes?.bucketOf(request)
  }

  /** True if the thread that looks for the proof should record a run. */
  get wantsSample(): boolean {
    return this.#state === 'needs-samples'
  }

  /** Counts a batch; returns true if it should be checked. */
  countBatch(requests: number): boolean {
    this.#batches += 1
    this.#batchedRequests += requests
    if (this.#batches <= this.#nextCheck) return false
    this.#nextCheck = this.#batches < FIRST_CHECKS ? this.#batches : this.#batches + CHECK_EVERY - 1
    return true
  }

  /** Returns the order to try a batch of these requests; undefined if its outputs may be returned to them. */
  trialOf(requests: RunRequests, rows: number): TrialOrder | undefined {
    const { bucket } = requests[0]
    if (requests.length < 2 || bucket === undefined || rows <= bucket.proof.provenRows) return undefined
    return { tolerance: (this.settings as BatchingSettings).tolerance }
  }

  /** Takes the result of a trial of a batch of that shape. */
  learnShape(bucket: ShapeBucket<RunRequest> | undefined, rows: number, trial: TrialResult): void {
    this.#checks += 1
    bucket?.proof.learn(rows, trial)
    this.#shapeRefusal = trial.reason ?? this.#shapeRefusal
  }

  countChecks(checks: number): void {
    this.#checks += checks
  }

  stats(): BatchingStats {
    const costs = this.#shapes?.recent.costs
    return {
      state: this.#state,
      reason: this.#reason,
      axes: this.#axes(),
      maxRows: this.#plan === undefined ? 0 : this.#maxRows,
      batches: this.#batches,
      batchedRequests: this.#batchedRequests,
      paddingRefusal: this.#paddingRefusal,
      shapeRefusal: this.#shapeRefusal,
      checks: this.#checks,
      perRowMs: costs?.perRowMs,
      perRunMs: costs?.perRunMs,
    }
  }

  #axes(): BatchingStats['axes'] {
    const { inputs = [], outputs = [] } = this.#signature ?? {}
    if (this.#plan === undefined) return undefined
    const axes = [...this.#plan.inputs, ...this.#plan.outputs].map((axis) =>
      axis === SHARED ? 'shared' : axis,
    )
    return byName(
      [...inputs, ...outputs].map(({ name }) => name),
      axes,
    )
  }
}
