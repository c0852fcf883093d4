import type { Proof, ProofOrder, RunCost } from '../../src/protocol/replica/proof.js'
import { SHARED } from '../../src/tensors/batch/batch-plan.js'
import type { Signature, Tensor } from '../../src/tensors/tensor.js'
import { join } from './batch-rows.js'
import { LEAST_SIZE, measuredSizes, otherSizes, sizesBetween } from './batch-sizes.js'
import { perturbedSamples } from './perturbed-samples.js'
import {
  comparable,
  compare,
  isSame,
  ProofRefusal,
  proofRowsOf,
  type Row,
  type RunOnce,
} from './proof-rows.js'
import { provePadding } from './prove-padding.js'

/** Runs of each size for its cost, of which the fastest counts: more of short ones, whose first are slow. */
const LEAST_TURNS = 3
const MOST_TURNS = 30
const TIMED_MS = 3
/** How long sizes are tried at which nothing is expected. */
const OTHER_SIZES_MS = 100

/** What the proof along one choice of axes works with. */
export interface AxesProof {
  readonly signature: Signature
  readonly run: RunOnce
  readonly order: ProofOrder
  /** Samples with their answers, the one to begin with first. */
  readonly samples: readonly Row[]
  /** What the first sample takes alone. */
  readonly sampleMs: number
  /** No run that is expected to take longer is tried. */
  readonly maxRunMs: number
  /** Clock in milliseconds, with which runs are measured. */
  readonly clock: () => number
  /** Time on that clock after which nothing is tried that need not be. */
  readonly endsAtMs: number
  /** Whether rows unlike the samples have been tried elsewhere, and are told apart. */
  readonly isTried: boolean
}

/**
 * Proves that requests laid along these axes are answered as if each were alone. Yields what its next run
 * is expected to take.
 * @throws ProofRefusal
 */
export async function* proveAxes(proof: AxesProof, inputs: readonly number[]): AsyncGenerator<number, Proof> {
  const { clock, order, run, signature } = proof
  const samples = comparable(proof.samples, inputs)
  const [sample] = samples as [Row]
  const outputs = yield* outputAxes(proof, inputs, sample)
  const rows = yield* rowsToTry(proof, samples, inputs)
  if (!proof.isTried && rows.every((row) => isSame(row.outputs, sample.outputs))) {
    const reason = 'all inputs seen so far have the same answer, which would hide that answers were mixed up'
    return { state: 'needs-samples', reason, isUnanimous: true }
  }
  const unitRows = proofRowsOf(sample.inputs, inputs)
  const costs: RunCost[] = [{ rows: unitRows, ms: yield* aloneMs(proof, sample) }]
  const costOf = (size: number): number => {
    const last = costs.at(-1) as RunCost
    return (last.ms * size * unitRows) / last.rows
  }
  /** Runs a batch of `size` rows, other ones in each turn; resolves with what that took. */
  const attempt = async (size: number, turn: number): Promise<number> => {
    // The last row of a turn is the first of the next, so that every row comes beside its neighbour.
    const from = turn * (size - 1)
    const batch = Array.from({ length: size }, (_, index) => rows[(index + from) % rows.length] as Row)
    const startedAtMs = clock()
    const answers = await runBatch(run, batch, inputs)
    const ms = clock() - startedAtMs
    compare(batch, answers, inputs, outputs, order, signature)
    return ms
  }
  const isInTime = (ms: number): boolean => clock() + ms <= proof.endsAtMs
  let proven = 0
  for (const size of measuredSizes(Math.max(LEAST_SIZE, Math.floor(order.maxRows / unitRows)))) {
    if (costOf(size) > proof.maxRunMs || (proven >= LEAST_SIZE && !isInTime(costOf(size)))) break
    let fastestMs = Number.POSITIVE_INFINITY
    for (let turn = 0; turn < turnsOf(proof, size, costOf(size), rows.length); turn += 1) {
      yield costOf(size)
      fastestMs = Math.min(fastestMs, await attempt(size, turn))
    }
    costs.push({ rows: size * unitRows, ms: fastestMs })
    proven = size
  }
  if (proven < LEAST_SIZE) {
    throw new ProofRefusal(
      `a batch of ${LEAST_SIZE} is expected to take ${costOf(LEAST_SIZE).toFixed(1)} ms, longer than ${proof.maxRunMs} ms (batching.proofBudgetMs)`,
      'cost',
    )
  }
  const between = proof.isTried ? [] : sizesBetween(proven)
  const others = order.rows === 'all' ? otherSizes(proven) : []
  const othersEndAtMs = clock() + OTHER_SIZES_MS
  for (const size of [...between, ...others]) {
    if (!isInTime(costOf(size)) || (!between.includes(size) && clock() > othersEndAtMs)) break
    yield costOf(size)
    await attempt(size, 1)
  }
  let paddingRefusal: string | undefined
  if (order.padding !== undefined) {
    const like = comparable(proof.samples, inputs, order.padding.inputs)
    const { sampleMs } = proof
    const part = { signature, run, order, samples: like, inputs, outputs, sampleMs }
    paddingRefusal = yield* provePadding(part, order.padding)
  }
  const padding = paddingRefusal === undefined ? order.padding : undefined
  const plan = { inputs, outputs, padding }
  /** Values of shared inputs, and the dims of all. */
  const shape = sample.inputs.map(({ type, dims, data }, index): Tensor => {
    return { type, dims, data: inputs[index] === SHARED ? data : [] } as Tensor
  })
  return { state: 'proven', plan, maxRows: proven * unitRows, costs, sample: shape, paddingRefusal }
}

/** The samples, and between them what is unlike them as far as it is to be run here. */
async function* rowsToTry(
  { order, run, sampleMs }: AxesProof,
  samples: readonly Row[],
  axes: readonly number[],
): AsyncGenerator<number, readonly Row[]> {
  if (order.rows === 'sent') return samples
  const rows: Row[] = []
  for (const [index, inputs] of perturbedSamples((samples[0] as Row).inputs, axes).entries()) {
    yield sampleMs
    try {
      // Each beside a request as callers send them: that shows what a row does to its neighbours.
      rows.push(samples[index % samples.length] as Row, { inputs, outputs: await run(inputs) })
    } catch {
      // No valid input: not every one that is made up is.
    }
  }
  return [...rows, ...samples]
}

/** What the sample takes alone, measured as batches are: its first runs may have been slow for other reasons. */
async function* aloneMs(
  { clock, run, sampleMs }: AxesProof,
  { inputs }: Row,
): AsyncGenerator<number, number> {
  let fastestMs = Number.POSITIVE_INFINITY
  for (let turn = 0; turn < timedTurns(sampleMs); turn += 1) {
    yield sampleMs
    const startedAtMs = clock()
    await run(inputs)
    fastestMs = Math.min(fastestMs, clock() - startedAtMs)
  }
  return fastestMs
}

/** The one axis of each output that grows with the rows. @throws ProofRefusal */
async function* outputAxes(
  { signature, run, sampleMs }: AxesProof,
  inputs: readonly number[],
  sample: Row,
): AsyncGenerator<number, number[]> {
  yield 2 * sampleMs
  const answers = await runBatch(run, [sample, sample], inputs)
  const unitRows = proofRowsOf(sample.inputs, inputs)
  return answers.map(({ dims }, index) => {
    const { name } = signature.outputs[index] as { name: string }
    const alone = (sample.outputs[index] as Tensor).dims
    const grown = [...dims.keys()].filter((axis) => dims[axis] !== alone[axis])
    const [axis] = grown
    if (dims.length === alone.length && grown.length === 1 && axis !== undefined) {
      if (alone[axis] === unitRows && dims[axis] === 2 * unitRows) return axis
    }
    throw new ProofRefusal(
      `output "${name}" has dims [${dims}] for two requests and [${alone}] for one`,
      'shape',
    )
  })
}

/** @throws ProofRefusal if it fails. */
async function runBatch(run: RunOnce, batch: readonly Row[], axes: readonly number[]): Promise<Tensor[]> {
  try {
    return await run(
      join(
        batch.map((row) => row.inputs),
        axes,
      ),
    )
  } catch (error) {
    throw new ProofRefusal(`a batch of ${batch.length} fails: ${(error as Error).message}`, 'shape')
  }
}

/**
 * Returns as many as the cost asks for; with time to spare, from `LEAST_SIZE` on at least as many as bring
 * every row beside its neighbour.
 */
function turnsOf({ order }: AxesProof, size: number, runMs: number, rows: number): number {
  const timed = timedTurns(runMs)
  return order.rows === 'all' && size >= LEAST_SIZE ? Math.max(timed, Math.ceil(rows / (size - 1))) : timed
}

function timedTurns(runMs: number): number {
  return Math.min(MOST_TURNS, Math.max(LEAST_TURNS, Math.ceil(TIMED_MS / runMs)))
}
