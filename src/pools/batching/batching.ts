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
  /** Most rows of a batch. */
  readonly maxRows: number
  /** How long a request may wait for others although a replica is idle. */
  readonly maxDelayMs: number
  readonly tolerance: Tolerance
  readonly padding?: PaddingSettings | undefined
  /** Longest stretch of work on the proof or on checks between requests. */
  readonly proofBudgetMs: number
  /** What the proof runs in the replicas where `tryFirst` is absent; by default also rows that are made up. */
  readonly rows?: 'sent' | 'made-up' | undefined
  /** Has batches tried by another process; absent where there is none. */
  readonly tryFirst?: ((trial: ProofTrial) => Promise<Tried>) | undefined
}

/** What is known of a version's batching; outlives its pools, for a version never changes. */
export interface BatchingMemory {
  proof: Extract<Proof, { state: 'proven' | 'refused' }> | undefined
}

/** `off`: not asked for; `needs-samples`, `proving`: not known yet; `proven`, `refused`: known. */
export type BatchingState = 'off' | Proof['state']

export interface BatchingStats {
  readonly state: BatchingState
  /** Why requests share no runs, or do not yet; undefined while they may. */
  readonly reason: string | undefined
  /** Batch axis of each input and output by name, `shared` for one whose value all rows of a batch have. */
  readonly axes: Readonly<Record<string, number | 'shared'>> | undefined
  /** Most rows that are proven. */
  readonly maxRows: number
  readonly batches: number
  /** Requests that were in them. */
  readonly batchedRequests: number
  /** Why requests of unequal length share no runs although `padding` is set; undefined if they do, or it is not. */
  readonly paddingRefusal: string | undefined
  /** Why requests of some shape share no runs although others do, as last found; undefined if all may. */
  readonly shapeRefusal: string | undefined
  /** Batches that were compared with their requests one by one. */
  readonly checks: number
  /** What a run takes, as last measured: a part for each row and one for the run. */
  readonly perRowMs: number | undefined
  readonly perRunMs: number | undefined
}

/** So many batches of a pool are checked, and from then on one in `CHECK_EVERY`. */
const FIRST_CHECKS = 64
const CHECK_EVERY = 10_000

/** Whether requests of a pool may share runs, how, and what came of it. */
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
    if (settings === undefined) this.#reason = 'it is switched off'
  }

  get plan(): BatchPlan | undefined {
    return this.#plan
  }

  get maxRows(): number {
    return this.#maxRows
  }

  /** Whether a thread is to look for the proof. */
  get isOpen(): boolean {
    return this.#state === 'needs-samples' || this.#state === 'proving'
  }

  get order(): ProofOrder {
    const { maxRows, tolerance, rows = 'made-up', tryFirst } = this.settings as BatchingSettings
    return { maxRows, tolerance, padding: this.#padding, rows: tryFirst === undefined ? rows : 'tried-first' }
  }

  /** To be called when the model is loaded. */
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

  /** What has become of the proof; whether something has been decided. */
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

  /** Nobody shares a run any more; whether that is news. */
  turnOff({ reason }: BatchFault): boolean {
    return this.learn({ state: 'refused', reason })
  }

  /** Forgets a thread's work on the proof, which is gone with it. */
  startOver(): void {
    if (!this.isOpen) return
    this.#state = 'needs-samples'
  }

  /** The requests that this one may share a run with; sets its rows. */
  bucketOf(request: RunRequest): ShapeBucket<RunRequest> | undefined {
    return this.#plan === undefined || !request.mayShareRun ? undefined : this.#shapes?.bucketOf(request)
  }

  /** Whether the thread that looks for the proof is to remember a run. */
  get wantsSample(): boolean {
    return this.#state === 'needs-samples'
  }

  /** Counts a batch; whether it is to be checked. */
  countBatch(requests: number): boolean {
    this.#batches += 1
    this.#batchedRequests += requests
    if (this.#batches <= this.#nextCheck) return false
    this.#nextCheck = this.#batches < FIRST_CHECKS ? this.#batches : this.#batches + CHECK_EVERY - 1
    return true
  }

  /** How a batch of these requests is tried; undefined if it may answer them. */
  trialOf(requests: RunRequests, rows: number): TrialOrder | undefined {
    const { bucket } = requests[0]
    if (requests.length < 2 || bucket === undefined || rows <= bucket.proof.provenRows) return undefined
    return { tolerance: (this.settings as BatchingSettings).tolerance }
  }

  /** Takes what a trial of a batch of that shape has shown. */
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
