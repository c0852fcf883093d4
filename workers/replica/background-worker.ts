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

/** Limit on the bytes of batches that wait for their check; further batches are not checked. */
const MAX_CHECK_BYTES = 64 * 2 ** 20

/** Hazards of a model whose file cannot be read, since it has a custom loader. */
export const NO_HAZARDS: Hazards = { ofBatch: () => undefined, ofMadeUp: () => undefined }

/** A batch with the inputs and outputs of its run. */
export interface CheckedBatch {
  readonly inputs: readonly Tensor[]
  readonly outputs: readonly Tensor[]
  readonly rows: readonly number[]
  /** Original length of each request, if they were padded. */
  readonly lengths: readonly number[] | undefined
  readonly plan: BatchPlan
  /** Batch axis of each output. */
  readonly axes: readonly number[]
  /** Axis of each output along which requests were padded; absent if they were not. */
  readonly padded: readonly number[] | undefined
  readonly wanted: readonly string[] | undefined
}

interface Check {
  readonly batch: CheckedBatch
  /** Index of the request to check next. */
  next: number
}

/**
 * Does the work of a replica between requests: it proves that requests can share runs, and checks runs that
 * were shared.
 */
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

  /** Offers a run of one request to the proof; `outputs` is undefined if the request did not name all of them. */
  offer(
    inputs: readonly Tensor[],
    outputs: readonly Tensor[] | undefined,
    ms: number,
    isTypical: boolean,
  ): void {
    if (!this.#prover.wants(inputs)) return
    this.#prover.offer(inputs.map(copyOf), outputs?.map(copyOf), ms, isTypical)
  }

  /** Adds a batch to check by running it again, request by request. */
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

  /** Checks batches request by request, so that the work ends in time; checks at least one request. */
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
    const prefix = `request ${index} of a batch of ${rows.length} had other outputs than alone`
    try {
      // Without padding, since the outputs of a padded request alone could be wrong in the same way.
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
