import type { ModelConfig } from '../../config/runtime-options.js'
import { errors } from '../../errors/errors.js'
import type { WarmUp } from '../../pools/settings/pool-settings.js'
import type { Tolerance } from '../../tensors/batch/batch-plan.js'
import { difference } from '../../tensors/batch/difference.js'
import { type EmptyAxes, emptyAxesProblem } from '../../tensors/input/empty-axes.js'
import { prepareInputs } from '../../tensors/input/prepare-inputs.js'
import type { Outputs, Signature, Tensor } from '../../tensors/tensor.js'

type Sample = NonNullable<ModelConfig['sample']>

/**
 * Returns the warm-up of a configured sample: its input, and a check of the outputs if the sample has any. Both throw
 * ERR_WARMUP.
 * @param emptyAxes if defined, refuses inputs without elements as those of a request are refused.
 */
export function warmUpFrom(
  sample: Sample | undefined,
  subject: { model: string; version: string },
  emptyAxes?: EmptyAxes,
): WarmUp | undefined {
  if (sample === undefined) return undefined
  let outputs: Signature['outputs'] = []
  return {
    inputs(signature): Tensor[] {
      outputs = signature.outputs
      const inputs = coerced(signature, sample.input, 'sample.input', subject)
      const problem = emptyAxes === undefined ? undefined : emptyAxesProblem(signature, inputs, emptyAxes)
      if (problem === undefined) return inputs
      throw new errors.ERR_WARMUP(`sample.input of ${subject.model}@${subject.version}: ${problem}`, subject)
    },
    check(actual: Outputs): void {
      if (sample.output === undefined) return
      const wanted = Object.keys(sample.output)
      const inputs = outputs.filter((spec) => wanted.includes(spec.name))
      const expected = coerced({ inputs, outputs }, sample.output, 'sample.output', subject)
      for (const [index, { name }] of inputs.entries()) {
        compare(name, expected[index] as Tensor, actual[name], sample, subject)
      }
    },
  }
}

function coerced(
  signature: Signature,
  values: unknown,
  option: string,
  subject: { model: string; version: string },
): Tensor[] {
  try {
    return prepareInputs(signature, values, subject)
  } catch (cause) {
    throw new errors.ERR_WARMUP(
      `${option} does not fit ${subject.model}@${subject.version}: ${(cause as Error).message}`,
      { ...subject, cause },
    )
  }
}

function compare(
  name: string,
  expected: Tensor,
  actual: Tensor | undefined,
  tolerance: Tolerance,
  subject: { model: string; version: string },
): void {
  const label = `${subject.model}@${subject.version}`
  if (actual === undefined) {
    throw new errors.ERR_WARMUP(`${label} returned no output "${name}" for the sample`, subject)
  }
  const found = difference(expected, actual, tolerance)
  if (found === undefined) return
  throw new errors.ERR_WARMUP(
    `${label} returned unexpected outputs for the sample: output "${name}" ${found}`,
    subject,
  )
}
