import type { OnnxGraph } from './file/graph.js'
import { Interpreter } from './interpreter.js'
import { isNumber } from './trace/size.js'
import { isDependent, isRefused, type RefusedTrace, type Trace } from './trace/trace.js'

/**
 * Returns the reason why a model must not be batched, according to its graph: the first node through which
 * the rows of a batch may change each other's outputs, or whose effect on them is not known. Returns
 * undefined if each row of an output is calculated from the same row of the inputs and from what all rows
 * share, for any number of rows; onnxruntime may still fail to run a batch.
 *
 * @param batchAxes - The axis of the rows by input; an input that is absent is shared by all rows.
 */
export function batchHazard(graph: OnnxGraph, batchAxes: ReadonlyMap<string, number>): string | undefined {
  let failure: string | undefined
  let isFollowed = false
  for (const outputs of new Interpreter(graph, batchAxes).run()) {
    const reasons = outputs.flatMap((trace, at) => refusalOf(trace, graph.outputs[at]?.name ?? '') ?? [])
    const hazard = reasons.find((reason) => reason.isFailure !== true)
    if (hazard !== undefined) return hazard.refused
    // A run that fails with one row has no outputs that another row could change.
    if (reasons.length === 0) isFollowed = true
    failure ??= reasons[0]?.refused
  }
  return isFollowed ? undefined : failure
}

function refusalOf(trace: Trace, output: string): RefusedTrace | undefined {
  if (isRefused(trace)) return trace
  const isApart = isDependent(trace) && !isNumber(trace.rows.before, 1)
  return isApart ? { refused: `output "${output}" does not keep the elements of a row together` } : undefined
}
