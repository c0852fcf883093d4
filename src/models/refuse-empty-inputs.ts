import { errors } from '../errors/errors.js'
import { emptyAxesProblem } from '../tensors/input/empty-axes.js'
import type { Signature, Tensor } from '../tensors/tensor.js'
import type { VersionRecord } from './context/version-record.js'

/** @throws ERR_INVALID_INPUT if the input has no rows and a run of it could be the end of this process. */
export function refuseEmptyInputs(
  { facts, subject }: VersionRecord,
  signature: Signature,
  inputs: readonly Tensor[],
): void {
  const { emptyAxes } = facts
  const why = emptyAxes === undefined ? undefined : emptyAxesProblem(signature, inputs, emptyAxes)
  if (why !== undefined) throw new errors.ERR_INVALID_INPUT(why, subject)
}
