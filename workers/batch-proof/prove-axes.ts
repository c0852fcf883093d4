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

/**
 * Runs of each size to measure its cost, of which the fastest counts; short runs need more, since the first
 * are slow.
 */
const LEAST_TURNS = 3
const MOST_TURNS = 30
const TIMED_MS = 3
/** Time limit for sizes at which no difference is expected. */
const OTHER_SIZES_MS = 100

/** The parameters of the proof along one choice of axes. */
export interface AxesProof {
  readonly signature: Signature
  readonly run: RunOnce
  readonly order: ProofOrder
  /** Samples with their outputs; the proof begins with the first. */
  readonly samples: readonly Row[]
  /** Run time of the first sample alone, in milliseconds. */
  readonly sampleMs: number
  /** Expected run time above which a run is not tried, in milliseconds. */
  readonly maxRunMs: number
  /** Returns milliseconds, by which runs are measured. */
  readonly clock: () => number
  /** Time on that clock after which only necessary runs are tried. */
  readonly endsAtMs: number
  /** True if perturbed rows were tried in another process, which showed that mixed-up outputs would be noticed. */
  readonly isTried: boolean
}

/**
 * Proves that requests joined along these axes have the same outputs as each alone. Yields the expected time
 * of its next run.
 * @throws ProofRefusal if they do not, or if that cannot be shown
 */
export async function* proveAxes(proof: AxesProof, inputs: readonly number[]): AsyncGenerator<number, Proof> {
  const { clock, order, run, signature } = proof
  const samples = comparable(proof.samples, inputs)
  const [sample] = samples as [Row]
  const outputs = yield* outputAxes(proof, inputs, sample)
  const rows = yield* rowsToTry(proof, samples, inputs)
  if (!proof.isTried && rows.every((row) => isSame(row.outputs, sample.outputs))) {
    const reason = 'all samples so far have the same outputs, which would hide mixed-up outputs'
    return { state: 'needs-samples', reason, isUnanimous: true }
  }
  const unitRows = proofRowsOf(sample.inputs, inputs)
  const costs: RunCost[] = [{ rows: unitRows, ms: yield* aloneMs(proof, sample) }]
  const costOf = (size: number): number => {
    const last = costs.at(-1) as RunCost
    return (last.ms * size * unitRows) / last.rows
  }
  /** Runs a batch of `size` rows, other ones in each turn; resolves with the time that it took. */
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
  /** The values of shared inputs, and the dims of all inputs. */
  const shape = sample.inputs.map(({ type, dims, data }, index): Tensor => {
    return { type, dims, data: inputs[index] === SHARED ? data : [] } as Tensor
  })
  return { state: 'proven', plan, maxRows: proven * unitRows, costs, sample: shape, paddingRefusal }
}

/** Returns the samples, and between them perturbed rows if those should be run here. */
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
      // Each perturbed row is beside a sample, which shows its influence on its neighbours.
      rows.push(samples[index % samples.length] as Row, { inputs, outputs: await run(inputs) })
    } catch {
      // A perturbed row may be an invalid input.
    }
  }
  return [...rows, ...samples]
}

/**
 * Measures the sample alone in the way batches are measured, since its earlier runs may have been slow for
 * other reasons.
 */
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

/** Returns the axis of each output that grows with the rows. @throws ProofRefusal if there is not exactly one */
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

/** Runs a batch. @throws ProofRefusal if the run fails */
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
 * Returns the number of runs of a size: enough to measure its cost, and, if all rows are to be tried, from
 * `LEAST_SIZE` on enough to bring every row beside its neighbour.
 */
function turnsOf({ order }: AxesProof, size: number, runMs: number, rows: number): number {
  const timed = timedTurns(runMs)
  return order.rows === 'all' && size >= LEAST_SIZE ? Math.max(timed, Math.ceil(rows / (size - 1))) : timed
}

function timedTurns(runMs: number): number {
  return Math.min(MOST_TURNS, Math.max(LEAST_TURNS, Math.ceil(TIMED_MS / runMs)))
}
