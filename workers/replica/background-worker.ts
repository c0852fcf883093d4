import type { Proof } from '../../src/protocol/replica/proof.js'
import type { BackgroundDone, BatchFault } from '../../src/protocol/replica/replica-replies.js'
import type { BackgroundTask } from '../../src/protocol/replica/replica-task.js'
import type { BatchPlan, Tolerance } from '../../src/tensors/batch/batch-plan.js'
import { EXACT, firstDifference } from '../../src/tensors/batch/difference.js'
import { bytesOf, copyOf } from '../../src/tensors/input/copies.js'
import type { Signature, Tensor } from '../../src/tensors/tensor.js'
import { BatchProver, type Hazards } from '../batch-proof/batch-prover.js'
import { takeAll } from '../batch-proof/batch-rows.js'
import type { RunOnce } from '../batch-proof/proof-rows.js'
import { resizeAll } from '../batch-proof/resize-all.js'

/** Batches that wait for their check, in bytes; more are not checked. */
const MAX_CHECK_BYTES = 64 * 2 ** 20

/** Hazards of a model that cannot be read: nobody knows what its loader does. */
export const NO_HAZARDS: Hazards = { ofBatch: () => undefined, ofMadeUp: () => undefined }

/** A batch as it was run and answered. */
export interface CheckedBatch {
  readonly inputs: readonly Tensor[]
  readonly outputs: readonly Tensor[]
  readonly rows: readonly number[]
  /** Length of each request as it came, if they were filled up. */
  readonly lengths: readonly number[] | undefined
  readonly plan: BatchPlan
  /** Of the outputs. */
  readonly axes: readonly number[]
  /** Axis of the outputs along which requests were filled up; absent if they were not. */
  readonly padded: readonly number[] | undefined
  readonly wanted: readonly string[] | undefined
}

interface Check {
  readonly batch: CheckedBatch
  /** The request of it that comes next. */
  next: number
}

/** What a thread does between the callers' requests: the proof that they can share runs, and checks that they could. */
export class BackgroundWorker {
  readonly #run: RunOnce
  readonly #prover: BatchProver
  readonly #checks: Check[] = []
  #checkBytes = 0
  #tolerance: Tolerance = EXACT
  #reported: Proof | undefined

  constructor(signature: Signature, run: RunOnce, hazards: Hazards) {
    this.#run = run
    this.#prover = new BatchProver(signature, run, hazards)
  }

  get hasWork(): boolean {
    return this.#prover.hasWork || this.#checks.length > 0
  }

  /** Offers a run of one request, as it was answered, to the proof; without outputs if not all were asked for. */
  offer(
    inputs: readonly Tensor[],
    outputs: readonly Tensor[] | undefined,
    ms: number,
    isTypical: boolean,
  ): void {
    if (!this.#prover.wants(inputs)) return
    this.#prover.offer(inputs.map(copyOf), outputs?.map(copyOf), ms, isTypical)
  }

  /** A batch that is to be run again, request by request. */
  check(batch: CheckedBatch): void {
    const bytes = bytesOf([...batch.inputs, ...batch.outputs])
    if (this.#checkBytes + bytes > MAX_CHECK_BYTES) return
    this.#checkBytes += bytes
    const copy = { ...batch, inputs: batch.inputs.map(copyOf), outputs: batch.outputs.map(copyOf) }
    this.#checks.push({ batch: copy, next: 0 })
  }

  async work({ budgetMs, maxRunMs, prove, tried, tolerance }: BackgroundTask): Promise<BackgroundDone> {
    const endsAtMs = performance.now() + budgetMs
    this.#tolerance = tolerance
    const { checks, fault } = await this.#check(endsAtMs)
    if (prove !== undefined) this.#prover.start(prove)
    if (tried !== undefined) this.#prover.learn(tried)
    const proof = await this.#prover.advance(endsAtMs, maxRunMs)
    const news = isNews(proof, this.#reported) ? proof : undefined
    this.#reported = proof
    const trial = this.#prover.takeTrial()
    return { ok: true, hasBackgroundWork: this.hasWork, proof: news, trial, checks, fault }
  }

  /** Request by request, so that a stretch of work ends in time; one at least. */
  async #check(endsAtMs: number): Promise<{ checks: number; fault: BatchFault | undefined }> {
    let checks = 0
    for (let check = this.#checks[0]; check !== undefined; check = this.#checks[0]) {
      const reason = await this.#checkNext(check)
      if (reason !== undefined || check.next === check.batch.rows.length) {
        this.#checks.shift()
        this.#checkBytes -= bytesOf([...check.batch.inputs, ...check.batch.outputs])
        checks += 1
      }
      if (reason !== undefined) return { checks, fault: { reason } }
      if (performance.now() >= endsAtMs) break
    }
    return { checks, fault: undefined }
  }

  async #checkNext(check: Check): Promise<string | undefined> {
    const { inputs, outputs, rows, lengths, plan, axes, padded, wanted } = check.batch
    const index = check.next
    const at = rows.slice(0, index).reduce((sum, count) => sum + count, 0)
    const count = rows[index] as number
    check.next += 1
    const length = lengths?.[index]
    const answered = resizeAll(takeAll(outputs, axes, at, count), padded, length)
    const prefix = `request ${index} of a batch of ${rows.length} was answered otherwise than alone`
    try {
      // As it came: one that is filled up alone could be wrong in the same way.
      const sent = resizeAll(takeAll(inputs, plan.inputs, at, count), plan.padding?.inputs, length)
      const alone = await this.#run(sent, wanted)
      const differs = firstDifference(alone, answered, this.#tolerance)
      return differs === undefined ? undefined : `${prefix}: output ${differs.index} ${differs.problem}`
    } catch (error) {
      return `${prefix}: alone it fails with ${(error as Error).message}`
    }
  }
}

function isNews(proof: Proof | undefined, reported: Proof | undefined): boolean {
  return proof?.state !== reported?.state || reasonOf(proof) !== reasonOf(reported)
}

function reasonOf(proof: Proof | undefined): string | undefined {
  return proof !== undefined && 'reason' in proof ? proof.reason : undefined
}
