import { errors, isRuntimeError, messageOf } from '../../errors/errors.js'
import { decodeError } from '../../protocol/error-codec.js'
import type { EncodedOutputs, RunResult } from '../../protocol/replica/replica-replies.js'
import type { BatchPlan, Padding } from '../../tensors/batch/batch-plan.js'
import type { RunRequests } from '../queue/planned-run.js'
import type { RunRequest } from '../queue/run-request.js'
import type { OutputDecoder } from './output-decoder.js'

/** The reply to a pack with what is needed to decode it. */
export interface DecodingContext {
  readonly decoder: OutputDecoder
  /** Layout of the pack's batches. */
  readonly plan: BatchPlan | undefined
  readonly buffer: ArrayBuffer | undefined
  readonly nowMs: number
}

/** Settles each request of a run with its outputs or its error. Never throws, and leaves no request open. */
export function deliverResults(
  context: DecodingContext,
  requests: RunRequests,
  result: RunResult | undefined,
): void {
  try {
    if (result !== undefined) settle(context, requests, result)
  } catch (error) {
    for (const request of requests) request.reject(undecodable(request, error))
  }
  for (const request of requests) {
    if (!request.isSettled) request.reject(undecodable(request, 'the thread sent none'))
  }
}

function settle(context: DecodingContext, requests: RunRequests, result: RunResult): void {
  const { decoder, plan, buffer, nowMs } = context
  const [first] = requests
  if ('answers' in result) {
    for (const [index, request] of requests.entries()) {
      const outcome = result.answers[index]
      if (outcome === undefined) return
      if ('error' in outcome) request.reject(decodeError(outcome.error))
      else settleSingle(context, request, outcome, plan?.padding, request.length)
    }
  } else if ('error' in result) {
    const error = decodeError(result.error)
    for (const request of requests) request.reject(error)
  } else if (requests.length === 1) {
    settleSingle(context, first, result.answer)
  } else {
    let index = 0
    for (const outputs of decoder.rows(result.answer, first.outputs, buffer, plan as BatchPlan, requests)) {
      ;(requests[index] as RunRequest).resolve(outputs, nowMs)
      index += 1
    }
  }
}

function settleSingle(
  { decoder, buffer, nowMs }: DecodingContext,
  request: RunRequest,
  encoded: EncodedOutputs,
  padding?: Padding,
  length?: number,
): void {
  try {
    request.resolve(decoder.single(encoded, request.outputs, buffer, padding, length), nowMs)
  } catch (error) {
    request.reject(undecodable(request, error))
  }
}

/**
 * Returns the error of outputs that cannot be decoded. A RangeError means that memory could not be allocated, because
 * everything else is checked before it is read.
 */
function undecodable({ model, version }: RunRequest, cause: unknown): Error {
  if (isRuntimeError(cause)) return cause
  const code = cause instanceof RangeError ? 'ERR_INSUFFICIENT_MEMORY' : 'ERR_INFERENCE'
  return new errors[code](`the outputs of ${model}@${version} cannot be decoded: ${messageOf(cause)}`, {
    model,
    version,
    cause,
  })
}
