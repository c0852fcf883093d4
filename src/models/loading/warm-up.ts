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
 * Returns the configured sample as a warm-up: a valid input, and the answer it must have if one is given.
 * Where `emptyAxes` is told, its inputs are refused as those of a request are.
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
      const why = emptyAxes === undefined ? undefined : emptyAxesProblem(signature, inputs, emptyAxes)
      if (why === undefined) return inputs
      throw new errors.ERR_WARMUP(`sample.input of ${subject.model}@${subject.version}: ${why}`, subject)
    },
    check(answer: Outputs): void {
      if (sample.output === undefined) return
      const wanted = Object.keys(sample.output)
      const inputs = outputs.filter((spec) => wanted.includes(spec.name))
      const expected = coerced({ inputs, outputs }, sample.output, 'sample.output', subject)
      for (const [index, { name }] of inputs.entries()) {
        compare(name, expected[index] as Tensor, answer[name], sample, subject)
      }
    },
  }
}

function coerced(
  signature: Signature,
  values: unknown,
  what: string,
  subject: { model: string; version: string },
): Tensor[] {
  try {
    return prepareInputs(signature, values, subject)
  } catch (cause) {
    throw new errors.ERR_WARMUP(
      `${what} does not fit ${subject.model}@${subject.version}: ${(cause as Error).message}`,
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
    throw new errors.ERR_WARMUP(`${label} gives no output "${name}" for the sample`, subject)
  }
  const found = difference(expected, actual, tolerance)
  if (found === undefined) return
  throw new errors.ERR_WARMUP(`the answer of ${label} to the sample: output "${name}" ${found}`, subject)
}
