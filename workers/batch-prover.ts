import type { Proof, ProofOrder, RunCost } from '../src/protocol/messages.js'
import { SHARED } from '../src/tensors/batch-plan.js'
import { firstDifference } from '../src/tensors/difference.js'
import { paddedLength, resized } from '../src/tensors/padding.js'
import { commonSize } from '../src/tensors/rows.js'
import type { Signature, Tensor } from '../src/tensors/tensor.js'
import { candidatesOf } from './batch-candidates.js'
import { join } from './batch-rows.js'
import { compare, isSame, Refusal, type Row, type RunOnce, rowsOf } from './proof-rows.js'
import { isStrange, ProofSamples } from './proof-samples.js'
import { unlikeRows } from './unlike-rows.js'

/** Why requests that are batched along these axes could answer each other; undefined if nothing is known against it. */
export type Hazards = (axes: readonly number[]) => string | undefined

/** Sizes of batches that are tried, in requests, as far as they are allowed and affordable. */
const SIZES = [2, 3, 8, 32, 128, 512]
/** The largest that must be: below that nothing is proven. */
const LEAST_SIZE = 3
/** Runs of each size for its cost, of which the fastest counts: more of short ones, whose first are slow. */
const LEAST_TURNS = 3
const MOST_TURNS = 30
const TIMED_MS = 3

/**
 * Finds out by runs, and by what can be read of the model, along which axes requests can share a run,
 * and whether each is answered as if it were alone. Goes on from sample to sample and from stretch to
 * stretch of work.
 */
export class BatchProver {
  readonly #signature: Signature
  readonly #run: RunOnce
  readonly #hazards: Hazards
  readonly #samples = new ProofSamples()
  /** Axes along which sound samples have changed each other's answers, with the reason: no other sample can mend that. */
  readonly #refusedAxes = new Map<string, string>()
  #order: ProofOrder | undefined
  #proof: Proof = { state: 'needs-samples', reason: 'no request has been answered yet' }
  /** Why the last try has failed. */
  #reason = ''
  /** Yields what the next run is expected to take. */
  #search: AsyncGenerator<number, Proof> | undefined
  #nextRunMs: number | undefined

  constructor(signature: Signature, run: RunOnce, hazards: Hazards) {
    this.#signature = signature
    this.#run = run
    this.#hazards = hazards
  }

  /** Whether there is a sample to work with. */
  get hasWork(): boolean {
    return (this.#samples.isReady || this.#samples.isSpent) && this.#proof.state === 'proving'
  }

  /** Whether an input that is known to be valid is to be offered. */
  wants(inputs: readonly Tensor[]): boolean {
    const { state } = this.#proof
    if (this.#search !== undefined || state === 'refused' || state === 'proven') return false
    if (this.#samples.wants(inputs)) return true
    // The last try was left to a sample of a shape that is refused.
    if (this.#samples.isSpent) this.#proof = { state: 'proving' }
    return false
  }

  /** Takes an input that is wanted, with its answer, if all outputs were asked for, and the time that took. */
  offer(
    inputs: readonly Tensor[],
    outputs: readonly Tensor[] | undefined,
    ms: number,
    isTypical: boolean,
  ): void {
    this.#samples.add({ inputs, outputs }, ms, isTypical)
    this.#proof = { state: 'proving' }
  }

  start(order: ProofOrder): void {
    this.#order = order
  }

  /** Works until `endsAtMs`, on no run that is expected to take longer than `maxRunMs`. */
  async advance(endsAtMs: number, maxRunMs: number): Promise<Proof | undefined> {
    if (this.#order === undefined) return undefined
    if (this.#proof.state !== 'proving') return this.#proof
    this.#search ??= this.#prove(this.#order, maxRunMs)
    for (let isFirst = true; ; isFirst = false) {
      const nowMs = performance.now()
      if (!isFirst && nowMs + (this.#nextRunMs ?? 0) > endsAtMs) return this.#proof
      const step = await this.#search.next()
      if (step.done !== true) {
        this.#nextRunMs = step.value
        continue
      }
      this.#search = undefined
      this.#proof = step.value
      return this.#proof
    }
  }

  async *#prove(order: ProofOrder, maxRunMs: number): AsyncGenerator<number, Proof> {
    const samples = this.#samples
    if (samples.isSpent) return { state: 'refused', reason: this.#reason }
    if (2 * samples.fastestMs > maxRunMs) {
      const reason = `a run takes ${samples.fastestMs.toFixed(1)} ms, so one of two requests is expected to take longer than ${maxRunMs} ms (batching.proofBudgetMs); raise it, or give a \`sample\``
      return this.#failed(reason, samples.others())
    }
    let rows: Row[]
    try {
      rows = yield* samples.rows(this.#run)
    } catch (error) {
      const reason = `a request that was answered fails with all outputs: ${(error as Error).message}`
      return this.#failed(reason, samples.others())
    }
    return yield* this.#tryRows(rows, order, maxRunMs)
  }

  async *#tryRows(rows: readonly Row[], order: ProofOrder, maxRunMs: number): AsyncGenerator<number, Proof> {
    const [sample] = rows as [Row]
    const isSound = !rows.some(isStrange)
    const reasons: string[] = []
    /** Refusals that other samples may not meet. */
    const open: Refusal[] = []
    for (const inputs of candidatesOf(this.#signature, sample.inputs)) {
      const known = this.#refusedAxes.get(inputs.join()) ?? this.#hazards(inputs)
      if (known !== undefined) {
        reasons.push(known)
        continue
      }
      try {
        return yield* this.#tryAxes(inputs, rows, order, maxRunMs)
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
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
    return { state: isTriedAgain ? 'needs-samples' : 'refused', reason }
  }

  /** @throws Refusal */
  async *#tryAxes(
    inputs: readonly number[],
    samples: readonly Row[],
    order: ProofOrder,
    maxRunMs: number,
  ): AsyncGenerator<number, Proof> {
    const rows = comparable(samples, inputs)
    const [sample] = rows as [Row]
    const outputs = yield* this.#outputAxes(inputs, sample)
    for (const variant of unlikeRows(sample.inputs, inputs)) {
      yield this.#samples.fastestMs
      try {
        rows.push({ inputs: variant, outputs: await this.#run(variant) })
      } catch {
        // No valid input: not every variant is one.
      }
    }
    const unlike = rows.filter((row) => !isSame(row.outputs, sample.outputs))
    if (unlike.length === 0) {
      const reason =
        'all inputs seen so far have the same answer, which would hide that answers were mixed up'
      this.#samples.more()
      return { state: 'needs-samples', reason }
    }
    const unitRows = rowsOf(sample.inputs, inputs)
    const costs: RunCost[] = [{ rows: unitRows, ms: yield* this.#aloneMs(sample) }]
    let proven = 0
    const costOf = (count: number): number => {
      const last = costs.at(-1) as RunCost
      return (last.ms * count * unitRows) / last.rows
    }
    const largest = Math.max(LEAST_SIZE, Math.floor(order.maxRows / unitRows))
    for (const size of [...SIZES.filter((each) => each < largest), largest]) {
      if (costOf(size) > maxRunMs) break
      let fastestMs = Number.POSITIVE_INFINITY
      for (let turn = 0; turn < turnsOf(costOf(size)); turn += 1) {
        yield costOf(size)
        // Other neighbours in each turn.
        const batch = Array.from({ length: size }, (_, index) => rows[(index + turn) % rows.length] as Row)
        const startedAtMs = performance.now()
        const answers = await this.#runBatch(batch, inputs)
        fastestMs = Math.min(fastestMs, performance.now() - startedAtMs)
        compare(batch, answers, inputs, outputs, order, this.#signature)
      }
      costs.push({ rows: size * unitRows, ms: fastestMs })
      proven = size
    }
    if (proven < LEAST_SIZE) {
      throw new Refusal(
        `a batch of ${LEAST_SIZE} is expected to take ${costOf(LEAST_SIZE).toFixed(1)} ms, longer than ${maxRunMs} ms (batching.proofBudgetMs)`,
        'cost',
      )
    }
    const paddingRefusal = yield* this.#whyNotPadded(sample, order)
    const padding = paddingRefusal === undefined ? order.padding : undefined
    return {
      state: 'proven',
      plan: { inputs, outputs, padding },
      maxRows: proven * unitRows,
      costs,
      sample: sample.inputs.map(({ type, dims, data }, index): Tensor => {
        return { type, dims, data: inputs[index] === SHARED ? data : [] } as Tensor
      }),
      paddingRefusal,
    }
  }

  /** What the sample takes alone, measured as batches are: its first runs may have been slow for other reasons. */
  async *#aloneMs({ inputs }: Row): AsyncGenerator<number, number> {
    let fastestMs = Number.POSITIVE_INFINITY
    for (let turn = 0; turn < turnsOf(this.#samples.fastestMs); turn += 1) {
      yield this.#samples.fastestMs
      const startedAtMs = performance.now()
      await this.#run(inputs)
      fastestMs = Math.min(fastestMs, performance.now() - startedAtMs)
    }
    return fastestMs
  }

  /** Runs the sample filled up to greater lengths: is what is its own of the answer the same? */
  async *#whyNotPadded(
    sample: Row,
    { padding, tolerance }: ProofOrder,
  ): AsyncGenerator<number, string | undefined> {
    if (padding === undefined) return undefined
    const length = commonSize(sample.inputs, padding.inputs)
    if (length === undefined) return 'the inputs of a request have unequal lengths'
    const next = paddedLength(length + 1)
    for (const longer of [next, 2 * next]) {
      yield (this.#samples.fastestMs * longer) / length
      try {
        const filled = sample.inputs.map((tensor, index) =>
          resized(tensor, padding.inputs[index] as number, longer),
        )
        const own = (await this.#run(filled)).map((answer, index) =>
          resized(answer, padding.outputs[index] as number, length),
        )
        const differs = firstDifference(sample.outputs, own, tolerance)
        if (differs === undefined) continue
        const { name } = this.#signature.outputs[differs.index] as { name: string }
        return `filled up from ${length} to ${longer}, output "${name}" ${differs.found}`
      } catch (error) {
        return `filled up from ${length} to ${longer} it fails: ${(error as Error).message}`
      }
    }
    return undefined
  }

  /** Of each output the one axis that grows with the rows. @throws Refusal */
  async *#outputAxes(inputs: readonly number[], sample: Row): AsyncGenerator<number, number[]> {
    yield 2 * this.#samples.fastestMs
    const answers = await this.#runBatch([sample, sample], inputs)
    const unitRows = rowsOf(sample.inputs, inputs)
    return answers.map(({ dims }, index) => {
      const { name } = this.#signature.outputs[index] as { name: string }
      const alone = (sample.outputs[index] as Tensor).dims
      const grown = [...dims.keys()].filter((axis) => dims[axis] !== alone[axis])
      const [axis] = grown
      if (dims.length === alone.length && grown.length === 1 && axis !== undefined) {
        if (alone[axis] === unitRows && dims[axis] === 2 * unitRows) return axis
      }
      throw new Refusal(
        `output "${name}" has dims [${dims}] for two requests and [${alone}] for one`,
        'shape',
      )
    })
  }

  /** @throws Refusal if it fails. */
  async #runBatch(batch: readonly Row[], axes: readonly number[]): Promise<Tensor[]> {
    try {
      return await this.#run(
        join(
          batch.map((row) => row.inputs),
          axes,
        ),
      )
    } catch (error) {
      throw new Refusal(`a batch of ${batch.length} fails: ${(error as Error).message}`, 'shape')
    }
  }
}

function turnsOf(runMs: number): number {
  return Math.min(MOST_TURNS, Math.max(LEAST_TURNS, Math.ceil(TIMED_MS / runMs)))
}

/** The samples that could share a run with the first along these axes. */
function comparable(samples: readonly Row[], axes: readonly number[]): Row[] {
  const [first] = samples as [Row]
  return samples
    .filter(({ inputs }) =>
      inputs.every((tensor, index) => {
        const axis = axes[index] as number
        const like = first.inputs[index] as Tensor
        if (tensor.dims.length !== like.dims.length) return false
        if (axis === SHARED) return isSame([tensor], [like])
        return tensor.dims.every((dim, at) => at === axis || dim === like.dims[at])
      }),
    )
    .filter(({ inputs }) => rowsOf(inputs, axes) === rowsOf(first.inputs, axes))
}
