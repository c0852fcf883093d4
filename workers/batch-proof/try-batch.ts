import type { TrialResult } from '../../src/protocol/replica/replica-replies.js'
import type { TrialOrder } from '../../src/protocol/replica/replica-task.js'
import type { BatchPlan } from '../../src/tensors/batch/batch-plan.js'
import { firstDifference } from '../../src/tensors/batch/difference.js'
import { resized } from '../../src/tensors/batch/padding.js'
import type { Tensor } from '../../src/tensors/tensor.js'
import { split } from './batch-rows.js'
import { isSame } from './proof-rows.js'
import { isStrange } from './proof-samples.js'

/** A batch whose shape is not proven. */
export interface TriedBatch {
  readonly inputs: readonly Tensor[]
  readonly rows: readonly number[]
  /** Original length of each request, if they were padded. */
  readonly lengths: readonly number[] | undefined
  readonly plan: BatchPlan
  /** Place of each wanted output in the signature. */
  readonly wanted: readonly number[]
  readonly order: TrialOrder
}

/** The result of a batch that was tried. */
export interface Trial {
  /** The outputs of each request alone, or its error. */
  readonly alone: readonly (readonly Tensor[] | Error)[]
  /** Run time of the batch in milliseconds; undefined if it failed. */
  readonly ms: number | undefined
  readonly result: TrialResult
}

/**
 * Runs the requests of a batch one by one and then together, and compares the outputs. `run` resolves with
 * the wanted ones.
 */
export async function tryBatch(
  { inputs, rows, lengths, plan, wanted, order }: TriedBatch,
  run: (inputs: readonly Tensor[]) => Promise<Tensor[]>,
): Promise<Trial> {
  const outputAxes = wanted.map((output) => plan.outputs[output] as number)
  /** Returns the tensors of a request, cut to its original length. */
  const cut = (tensors: readonly Tensor[], padded: readonly number[], index: number): Tensor[] => {
    const length = lengths?.[index]
    return length === undefined
      ? [...tensors]
      : tensors.map((tensor, at) => resized(tensor, padded[at] as number, length))
  }
  const paddedInputs = plan.padding?.inputs ?? []
  const paddedOutputs = wanted.map((output) => plan.padding?.outputs[output] as number)
  const requests = split(inputs, plan.inputs, rows).map((tensors, index) => cut(tensors, paddedInputs, index))
  const alone: (Tensor[] | Error)[] = []
  for (const request of requests) alone.push(await run(request).catch((error: Error) => error))
  const startedAtMs = performance.now()
  const outputs = await run(inputs).catch((error: Error) => error)
  const ms = outputs instanceof Error ? undefined : performance.now() - startedAtMs
  const outcome = (isTelling: boolean, reason?: string): Trial => ({
    alone,
    ms,
    result: { isTelling, reason },
  })
  /**
   * Returns true for a request without elements, or with numbers that are not finite, which may differ for
   * that reason.
   */
  const isOdd = (index: number): boolean =>
    isStrange({ inputs: requests[index] as Tensor[], outputs: alone[index] as Tensor[] })

  if (alone.some((answer) => answer instanceof Error)) return outcome(false)
  const prefix = `a batch of ${rows.length} requests of this shape`
  const total = rows.reduce((sum, count) => sum + count, 0)
  const failure =
    outputs instanceof Error ? `fails: ${outputs.message}` : rowCountProblem(outputs, outputAxes, total)
  if (failure !== undefined) {
    return rows.some((_, index) => isOdd(index)) ? outcome(false) : outcome(true, `${prefix} ${failure}`)
  }
  for (const [index, tensors] of split(outputs as Tensor[], outputAxes, rows).entries()) {
    const answer = cut(tensors, paddedOutputs, index)
    const differs = firstDifference(alone[index] as Tensor[], answer, order.tolerance)
    if (differs === undefined) continue
    if (isOdd(index)) return outcome(false)
    return outcome(
      true,
      `${prefix} gives a request other outputs than alone: output ${differs.index} ${differs.problem}`,
    )
  }
  const [first, ...others] = alone as Tensor[][]
  /** True if a request was padded; otherwise the batch shows nothing about padding. */
  const isPadded = requests.some((request) =>
    paddedInputs.some((axis, at) => request[at]?.dims[axis] !== inputs[at]?.dims[axis]),
  )
  const isTried = lengths === undefined || isPadded
  return outcome(isTried && others.some((answer) => !isSame(answer, first as Tensor[])))
}

function rowCountProblem(
  outputs: readonly Tensor[],
  axes: readonly number[],
  total: number,
): string | undefined {
  const wrong = outputs.find(({ dims }, index) => dims[axes[index] as number] !== total)
  return wrong && `has ${total} rows, but an output of it has dims [${wrong.dims}]`
}
