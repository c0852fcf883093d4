import { decodeError } from '../protocol/error-codec.js'
import type { RunResult } from '../protocol/messages.js'
import type { BatchPlan } from '../tensors/batch-plan.js'
import type { AnswerReader } from './answers.js'
import type { ChosenRun } from './choose-runs.js'
import type { RunRequest } from './run-request.js'

/** Gives each request of a run its own answer, or why it has none. */
export function settleRun(
  answers: AnswerReader,
  { requests }: ChosenRun,
  plan: BatchPlan | undefined,
  result: RunResult,
  buffer: ArrayBuffer | undefined,
  nowMs: number,
): void {
  const [first] = requests as [RunRequest]
  if ('answers' in result) {
    for (const [index, each] of result.answers.entries()) {
      const request = requests[index] as RunRequest
      if ('error' in each) request.reject(decodeError(each.error))
      else
        request.resolve(answers.single(each, request.outputs, buffer, plan?.padding, request.length), nowMs)
    }
  } else if ('error' in result) {
    const error = decodeError(result.error)
    for (const request of requests) request.reject(error)
  } else if (requests.length === 1) {
    first.resolve(answers.single(result.answer, first.outputs, buffer), nowMs)
  } else {
    let index = 0
    for (const outputs of answers.rows(result.answer, first.outputs, buffer, plan as BatchPlan, requests)) {
      ;(requests[index] as RunRequest).resolve(outputs, nowMs)
      index += 1
    }
  }
}
