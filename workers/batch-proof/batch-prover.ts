import type { Proof, ProofOrder, ProofRows, ProofTrial, Tried } from '../../src/protocol/replica/proof.js'
import { bytesOf } from '../../src/tensors/input/copies.js'
import type { Signature, Tensor } from '../../src/tensors/tensor.js'
import { batchCandidates } from './batch-candidates.js'
import { ProofRefusal, provesNothing, type Row, type RunOnce } from './proof-rows.js'
import { isStrange, ProofSamples } from './proof-samples.js'
import { proveAxes } from './prove-axes.js'

/** Hazards that can be read from a model before it is run. */
export interface Hazards {
  /** Returns the reason why requests batched along these axes could change each other's outputs, if there is one. */
  ofBatch(axes: readonly number[]): string | undefined
  /** Returns the reason why generated inputs could crash the process, if there is one. */
  ofMadeUp(): string | undefined
}

/** Limit on the bytes of the samples of a trial; the first one is sent even if it is larger. */
const MAX_TRIAL_BYTES = 16 * 2 ** 20

/**
 * Proves along which axes requests can share a run so that each gets the same outputs as alone; it uses runs
 * and the hazards that can be read from the model. The proof continues from sample to sample and from call to
 * call.
 */
export class BatchProver {
  readonly #signature: Signature
  readonly #run: RunOnce
  readonly #hazards: Hazards
  readonly #clock: () => number
  readonly #samples = new ProofSamples()
  /**
   * Axes along which sound samples have changed each other's outputs, with the reason; other samples cannot
   * refute that.
   */
  readonly #refusedAxes = new Map<string, string>()
  #order: ProofOrder | undefined
  #proof: Proof = { state: 'needs-samples', reason: 'no request has completed yet' }
  /** The reason why the last try failed. */
  #reason = ''
  /** The search under way; it yields the expected time of the next run. */
  #search: AsyncGenerator<number, Proof | ProofTrial> | undefined
  #nextRunMs: number | undefined
  /** A trial that the main thread has not taken yet. */
  #trial: ProofTrial | undefined
  #isOnTrial = false
  #tried: Tried | undefined

  /** @param clock returns milliseconds; it measures runs and limits the work. */
  constructor(
    signature: Signature,
    run: RunOnce,
    hazards: Hazards,
    clock: () => number = () => performance.now(),
  ) {
    this.#clock = clock
    this.#signature = signature
    this.#run = run
    this.#hazards = hazards
  }

  /** True if the proof can continue with the samples that it has. */
  get hasWork(): boolean {
    const hasSamples = this.#samples.isReady || this.#samples.isSpent
    return hasSamples && this.#proof.state === 'proving' && !this.#isOnTrial
  }

  /** Returns true if the proof needs this valid input; counts it as offered. */
  wants(inputs: readonly Tensor[]): boolean {
    const { state } = this.#proof
    if (this.#search !== undefined || this.#isOnTrial || state === 'refused' || state === 'proven')
      return false
    if (this.#samples.wants(inputs)) return true
    // The last try was used up by a sample of a refused shape.
    if (this.#samples.isSpent) this.#proof = { state: 'proving' }
    return false
  }

  /** Takes a wanted input with its run time, and with its outputs if the request named all of them. */
  offer(
    inputs: readonly Tensor[],
    outputs: readonly Tensor[] | undefined,
    ms: number,
    isTypical: boolean,
  ): void {
    if (outputs !== undefined && provesNothing(this.#signature, inputs, outputs)) return
    this.#samples.add({ inputs, outputs }, ms, isTypical)
    this.#proof = { state: 'proving' }
  }

  start(order: ProofOrder): void {
    this.#order = order
  }

  /** Returns the trial that the proof needs, once; undefined if it needs none. */
  takeTrial(): ProofTrial | undefined {
    const trial = this.#trial
    this.#trial = undefined
    return trial
  }

  /** Continues with the result of a trial. */
  learn(tried: Tried): void {
    this.#isOnTrial = false
    if (tried.state === 'refused') this.#proof = tried
    else if (tried.state === 'needs-samples') this.#proof = this.#again(tried)
    else this.#tried = tried
  }

  /** Works until `endsAtMs`, without runs that are expected to take longer than `maxRunMs`. */
  async advance(endsAtMs: number, maxRunMs: number): Promise<Proof | undefined> {
    if (this.#order === undefined) return undefined
    if (this.#proof.state !== 'proving' || this.#isOnTrial) return this.#proof
    this.#search ??= this.#prove(this.#order, maxRunMs, endsAtMs)
    for (let isFirst = true; ; isFirst = false) {
      const nowMs = this.#clock()
      if (!isFirst && nowMs + (this.#nextRunMs ?? 0) > endsAtMs) return this.#proof
      const step = await this.#search.next()
      if (step.done !== true) {
        this.#nextRunMs = step.value
        continue
      }
      this.#search = undefined
      if ('state' in step.value) this.#proof = step.value
      else {
        this.#trial = step.value
        this.#isOnTrial = true
      }
      return this.#proof
    }
  }

  async *#prove(
    order: ProofOrder,
    maxRunMs: number,
    endsAtMs: number,
  ): AsyncGenerator<number, Proof | ProofTrial> {
    const samples = this.#samples
    if (samples.isSpent) return { state: 'refused', reason: this.#reason }
    if (2 * samples.fastestMs > maxRunMs) {
      const reason = `a run takes ${samples.fastestMs.toFixed(1)} ms, so one of two requests is expected to take longer than ${maxRunMs} ms (batching.proofBudgetMs); raise it, or configure a \`sample\``
      return this.#failed(reason, samples.others())
    }
    let rows: Row[]
    try {
      rows = yield* samples.rows(this.#run)
    } catch (error) {
      const reason = `a request that succeeded fails if all outputs are computed: ${(error as Error).message}`
      return this.#failed(reason, samples.others())
    }
    return yield* this.#tryRows(rows, order, maxRunMs, endsAtMs)
  }

  async *#tryRows(
    samples: readonly Row[],
    order: ProofOrder,
    maxRunMs: number,
    endsAtMs: number,
  ): AsyncGenerator<number, Proof | ProofTrial> {
    const [sample] = samples as [Row]
    const isSound = !samples.some(isStrange)
    const rows = this.#rowsFor(order)
    const proven = this.#tried?.state === 'proven' ? this.#tried : undefined
    const proofInput = {
      signature: this.#signature,
      run: this.#run,
      order: { ...order, rows, maxRows: Math.min(order.maxRows, proven?.maxRows ?? order.maxRows) },
      samples,
      sampleMs: this.#samples.fastestMs,
      maxRunMs,
      clock: this.#clock,
      endsAtMs: rows === 'all' ? endsAtMs : Number.POSITIVE_INFINITY,
      isTried: proven !== undefined,
    }
    const reasons: string[] = []
    /** Refusals that may not hold with other samples. */
    const open: ProofRefusal[] = []
    for (const inputs of proven === undefined
      ? batchCandidates(this.#signature, sample.inputs)
      : [proven.plan.inputs]) {
      const refusal = this.#refusedAxes.get(inputs.join()) ?? this.#hazards.ofBatch(inputs)
      if (refusal !== undefined) {
        reasons.push(refusal)
        continue
      }
      if (rows === 'tried-first') return this.#trialOf(samples, order, maxRunMs)
      try {
        const proof = yield* proveAxes(proofInput, inputs)
        if (proof.state === 'needs-samples') return this.#again(proof)
        if (proof.state !== 'proven' || proven?.paddingRefusal === undefined) return proof
        const { paddingRefusal } = proven
        return { ...proof, plan: { ...proof.plan, padding: undefined }, paddingRefusal }
      } catch (error) {
        if (!(error instanceof ProofRefusal)) throw error
        reasons.push(error.message)
        if (isSound && error.about === 'answers') this.#refusedAxes.set(inputs.join(), error.message)
        else open.push(error)
      }
    }
    const [reason = 'no input has a free axis that could be the batch'] = reasons
    if (reasons.length > 0 && open.length === 0) return { state: 'refused', reason }
    const isShape = isSound && open.every(({ about }) => about === 'shape')
    return this.#failed(reason, isShape ? this.#samples.otherShapes() : this.#samples.others())
  }

  #failed(reason: string, isTriedAgain: boolean): Proof {
    this.#reason = reason
    if (this.#tried?.state === 'proven') this.#tried = undefined
    return { state: isTriedAgain ? 'needs-samples' : 'refused', reason }
  }

  /** Requests more samples if the present ones are only too similar for a proof, or else other samples. */
  #again(missing: Extract<Proof, { state: 'needs-samples' }>): Proof {
    if (missing.isUnanimous !== true) return this.#failed(missing.reason, this.#samples.others())
    this.#samples.more()
    return missing
  }

  /** Returns the kind of rows to run here at present. */
  #rowsFor({ rows }: ProofOrder): ProofRows {
    if (rows !== 'tried-first' && rows !== 'made-up') return rows
    if (rows === 'tried-first' && this.#tried === undefined) return rows
    const isNowhere = rows === 'made-up' || this.#tried?.state === 'nowhere'
    return isNowhere && this.#hazards.ofMadeUp() === undefined ? 'made-up' : 'sent'
  }

  #trialOf(rows: readonly Row[], order: ProofOrder, maxRunMs: number): ProofTrial {
    const samples: (readonly Tensor[])[] = []
    let bytes = 0
    for (const { inputs } of rows) {
      bytes += bytesOf(inputs)
      if (samples.length === 0 || bytes <= MAX_TRIAL_BYTES) samples.push(inputs)
    }
    return { samples, isTypical: this.#samples.isTypical, order, maxRunMs }
  }
}
