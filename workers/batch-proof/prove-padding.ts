import type { ProofOrder } from '../../src/protocol/replica/proof.js'
import { type Padding, SHARED } from '../../src/tensors/batch/batch-plan.js'
import { firstDifference } from '../../src/tensors/batch/difference.js'
import { paddedLength, resized } from '../../src/tensors/batch/padding.js'
import { commonSize } from '../../src/tensors/batch/rows.js'
import type { Signature, Tensor } from '../../src/tensors/tensor.js'
import { join, split } from './batch-rows.js'
import { perturbedSamples } from './perturbed-samples.js'
import { isSame, proofRowsOf, type Row, type RunOnce } from './proof-rows.js'

/** The parameters of the proof of padding. */
export interface PaddingProof {
  readonly signature: Signature
  readonly run: RunOnce
  readonly order: ProofOrder
  /** Samples with their outputs; at least one. */
  readonly samples: readonly Row[]
  /** Batch axes of inputs and outputs. */
  readonly inputs: readonly number[]
  readonly outputs: readonly number[]
  /** Run time of a sample alone, in milliseconds. */
  readonly sampleMs: number
}

/** A request with its length, and with the outputs that it has alone and unpadded. */
interface LongRow extends Row {
  readonly length: number
}

/** A difference of outputs that rules out padding. */
class Difference extends Error {}

/**
 * Runs requests padded to greater lengths, alone and together. Returns the first difference from the outputs
 * of the unpadded request; undefined if there is none. Unless only inputs of requests may be run, it also
 * tries shorter ones, and ones with other values.
 */
export async function* provePadding(
  proof: PaddingProof,
  padding: Padding,
): AsyncGenerator<number, string | undefined> {
  const { samples, sampleMs } = proof
  const [sample] = samples as [Row]
  const longest = commonSize(sample.inputs, padding.inputs)
  if (longest === undefined) return 'the inputs of a request have unequal lengths'
  try {
    const rows: LongRow[] = []
    for (const row of samples) {
      const length = commonSize(row.inputs, padding.inputs)
      if (length !== undefined) rows.push({ ...row, length })
    }
    if (proof.order.rows !== 'sent') {
      for (const request of madeUp(sample.inputs, longest, proof.inputs, padding)) {
        yield sampleMs
        try {
          rows.push({ ...request, outputs: await proof.run(request.inputs) })
        } catch {
          // A generated request may be invalid.
        }
      }
    }
    for (const row of rows) {
      const next = paddedLength(row.length + 1)
      for (const longer of [next, 2 * next]) {
        yield (sampleMs * longer) / longest
        compareRow(proof, padding, row, longer, await filledAlone(proof, padding, row, longer))
      }
    }
    yield* together(proof, padding, rows)
  } catch (error) {
    if (error instanceof Difference) return error.message
    throw error
  }
  return undefined
}

/** Generates requests with other values and lengths from a sample; its mask keeps its values. */
function* madeUp(
  sample: readonly Tensor[],
  longest: number,
  axes: readonly number[],
  padding: Padding,
): Generator<Omit<LongRow, 'outputs'>> {
  const values = [sample, ...perturbedSamples(sample, axes, [padding.mask, padding.length])]
  for (const inputs of values) {
    for (const length of new Set([longest, Math.ceil(longest / 2), 1])) {
      if (inputs === sample && length === longest) continue
      const cut = inputs.map((tensor, index) =>
        index === padding.length
          ? withValue(tensor, length)
          : resized(tensor, padding.inputs[index] as number, length),
      )
      yield { inputs: cut, length }
    }
  }
}

/** Runs all rows in batches, padded to one length, twice in different orders. */
async function* together(
  { sampleMs, ...proof }: PaddingProof,
  padding: Padding,
  all: readonly LongRow[],
): AsyncGenerator<number, void> {
  const [first] = all as [LongRow]
  const rows = all.filter((row) =>
    row.inputs.every(
      (tensor, index) => proof.inputs[index] !== SHARED || isSame([tensor], [first.inputs[index] as Tensor]),
    ),
  )
  const unitRows = proofRowsOf(first.inputs, proof.inputs)
  const most = Math.max(2, Math.floor(proof.order.maxRows / unitRows))
  const longer = paddedLength(Math.max(...rows.map(({ length }) => length)))
  const shuffled = [
    ...rows.filter((_, index) => index % 2 === 1),
    ...rows.filter((_, index) => index % 2 === 0),
  ]
  for (const turn of [[...rows, first], shuffled.length > 1 ? shuffled : []]) {
    for (let at = 0; at < turn.length; at += most) {
      const batch = turn.slice(at, at + most)
      yield sampleMs * batch.length * 2
      const filled = batch.map((row) => fill(row, padding, longer))
      const answers = await attempt(
        () => proof.run(join(filled, proof.inputs)),
        `${batch.length} requests`,
        longer,
      )
      const counts = batch.map(({ inputs }) => proofRowsOf(inputs, proof.inputs))
      for (const [index, outputs] of split(answers, proof.outputs, counts).entries()) {
        compareRow(proof, padding, batch[index] as LongRow, longer, outputs)
      }
    }
  }
}

function filledAlone(
  { run }: PaddingProof,
  padding: Padding,
  row: LongRow,
  longer: number,
): Promise<readonly Tensor[]> {
  return attempt(() => run(fill(row, padding, longer)), `${row.length}`, longer)
}

async function attempt<T>(run: () => Promise<T>, what: string, longer: number): Promise<T> {
  try {
    return await run()
  } catch (error) {
    throw new Difference(`padded from ${what} to ${longer} it fails: ${(error as Error).message}`)
  }
}

function fill({ inputs }: LongRow, padding: Padding, longer: number): Tensor[] {
  return inputs.map((tensor, index) => resized(tensor, padding.inputs[index] as number, longer))
}

/** Compares the outputs of a padded request with those of the unpadded one. @throws Difference if they differ */
function compareRow(
  { signature, order: { tolerance } }: Omit<PaddingProof, 'sampleMs'>,
  padding: Padding,
  { length, outputs }: LongRow,
  longer: number,
  answers: readonly Tensor[],
): void {
  const cut = answers.map((answer, index) => resized(answer, padding.outputs[index] as number, length))
  const differs = firstDifference(outputs, cut, tolerance)
  if (differs === undefined) return
  const { name } = signature.outputs[differs.index] as { name: string }
  throw new Difference(`padded from ${length} to ${longer}, output "${name}" ${differs.problem}`)
}

/** Returns a tensor with all elements set to `value`, for the input that holds the length. */
function withValue({ type, dims, data }: Tensor, value: number): Tensor {
  const copy = data.slice()
  copy.fill(
    (copy instanceof BigInt64Array || copy instanceof BigUint64Array ? BigInt(value) : value) as never,
  )
  return { type, dims, data: copy } as Tensor
}
