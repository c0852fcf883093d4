import { errors } from '../errors/errors.js'
import { emptyAxesProblem } from '../tensors/input/empty-axes.js'
import type { Signature, Tensor } from '../tensors/tensor.js'
import type { VersionRecord } from './context/version-record.js'

/** Refuses inputs without elements whose run could crash this process. @throws ERR_INVALID_INPUT */
export function refuseEmptyInputs(
  { facts, subject }: VersionRecord,
  signature: Signature,
  inputs: readonly Tensor[],
): void {
  const { emptyAxes } = facts
  const problem = emptyAxes === undefined ? undefined : emptyAxesProblem(signature, inputs, emptyAxes)
  if (problem !== undefined) throw new errors.ERR_INVALID_INPUT(problem, subject)
}
