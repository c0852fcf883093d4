import type { ProofOrder } from '../../src/protocol/replica/proof.js'
import { SHARED } from '../../src/tensors/batch/batch-plan.js'
import { difference, EXACT, firstDifference } from '../../src/tensors/batch/difference.js'
import { float16Value } from '../../src/tensors/float16.js'
import type { Signature, Tensor } from '../../src/tensors/tensor.js'
import { batchCandidates } from './batch-candidates.js'
import { split } from './batch-rows.js'

/** Runs a model once; resolves with the wanted outputs, or all if `wanted` is absent. */
export type RunOnce = (inputs: readonly Tensor[], wanted?: readonly string[]) => Promise<Tensor[]>

/** A request with the outputs that it has alone. */
export interface Row {
  readonly inputs: readonly Tensor[]
  readonly outputs: readonly Tensor[]
}

/**
 * A reason to end the search along one choice of axes. It is about `answers` if a request changed the outputs
 * of another, about the `shape` if there were no outputs to compare, and about `cost` if no batch was run.
 */
export class ProofRefusal extends Error {
  readonly about: 'answers' | 'shape' | 'cost'

  constructor(message: string, about: ProofRefusal['about']) {
    super(message)
    this.about = about
  }
}

/** Compares the outputs of a batch with those of each request alone. @throws ProofRefusal if they differ */
export function compare(
  batch: readonly Row[],
  answers: readonly Tensor[],
  inputs: readonly number[],
  outputs: readonly number[],
  { tolerance }: ProofOrder,
  signature: Signature,
): void {
  const rows = batch.map((row) => proofRowsOf(row.inputs, inputs))
  const total = rows.reduce((sum, count) => sum + count, 0)
  for (const [index, { dims }] of answers.entries()) {
    if (dims[outputs[index] as number] !== total) {
      throw new ProofRefusal(
        `output "${signature.outputs[index]?.name}" has dims [${dims}] for ${total} rows`,
        'answers',
      )
    }
  }
  for (const [index, inBatch] of split(answers, outputs, rows).entries()) {
    const differs = firstDifference((batch[index] as Row).outputs, inBatch, tolerance)
    if (differs === undefined) continue
    throw new ProofRefusal(
      `a request has other outputs in a batch of ${batch.length} than alone: output "${signature.outputs[differs.index]?.name}" ${differs.problem}`,
      'answers',
    )
  }
}

export function proofRowsOf(inputs: readonly Tensor[], axes: readonly number[]): number {
  const input = axes.findIndex((axis) => axis !== SHARED)
  return inputs[input]?.dims[axes[input] as number] as number
}

export function isSame(left: readonly Tensor[], right: readonly Tensor[]): boolean {
  return left.every((tensor, index) => difference(tensor, right[index] as Tensor, EXACT) === undefined)
}

/** Returns the samples that could share a run with the first along these axes, if padded along `padded`. */
export function comparable<T extends Row>(
  samples: readonly T[],
  axes: readonly number[],
  padded?: readonly number[],
): T[] {
  const [first] = samples as [T]
  const rows = proofRowsOf(first.inputs, axes)
  return samples.filter(
    ({ inputs }) =>
      proofRowsOf(inputs, axes) === rows &&
      inputs.every((tensor, index) => {
        const axis = axes[index] as number
        const like = first.inputs[index] as Tensor
        if (tensor.dims.length !== like.dims.length) return false
        if (axis === SHARED) return isSame([tensor], [like])
        return tensor.dims.every((dim, at) => at === axis || at === padded?.[index] || dim === like.dims[at])
      }),
  )
}

/** Returns true if a request is useless for a proof: it has no rows, or only NaN in its outputs. */
export function provesNothing(
  signature: Signature,
  inputs: readonly Tensor[],
  outputs: readonly Tensor[],
): boolean {
  const hasValue = outputs.some(({ type, data }) =>
    type === 'float16'
      ? (data as Uint16Array).some((bits) => !Number.isNaN(float16Value(bits)))
      : (data as readonly unknown[]).some((value) => !Number.isNaN(value)),
  )
  if (!hasValue) return true
  const isEmpty = signature.inputs.some(({ dims }, input) =>
    dims.some((dim, axis) => typeof dim === 'string' && inputs[input]?.dims[axis] === 0),
  )
  return isEmpty && batchCandidates(signature, inputs).length === 0
}
