import { errors } from '../../errors/errors.js'
import { type Padding, SHARED } from '../../tensors/batch/batch-plan.js'
import type { Signature, TensorSpec } from '../../tensors/tensor.js'

/**
 * The axes, by name, along which requests of unequal length are padded, and the input that marks where the values
 * end: a mask or a length.
 */
export interface PaddingSettings {
  readonly inputs: Readonly<Record<string, number>>
  readonly outputs: Readonly<Record<string, number>>
  readonly mask?: string | undefined
  readonly length?: string | undefined
}

/**
 * Returns the settings as axes of a signature.
 * @throws ERR_INVALID_OPTIONS if they do not fit it.
 */
export function paddingSettings(
  { inputs, outputs, mask, length }: PaddingSettings,
  signature: Signature,
): Padding {
  if (mask !== undefined && !Object.hasOwn(inputs, mask)) {
    throw refused(`\`mask\` is ${JSON.stringify(mask)}, which \`inputs\` does not have`)
  }
  if (length !== undefined && !signature.inputs.some(({ name }) => name === length)) {
    throw refused(`\`length\` is ${JSON.stringify(length)}, but the model has no such input`)
  }
  const positionOf = (name: string | undefined): number | undefined => {
    const position = signature.inputs.findIndex((spec) => spec.name === name)
    return position === -1 ? undefined : position
  }
  return {
    inputs: axesOf(inputs, signature.inputs, 'inputs'),
    outputs: axesOf(outputs, signature.outputs, 'outputs'),
    mask: positionOf(mask),
    length: positionOf(length),
  }
}

function axesOf(
  axes: Readonly<Record<string, number>>,
  specs: readonly TensorSpec[],
  what: string,
): number[] {
  for (const [name, axis] of Object.entries(axes)) {
    const spec = specs.find((candidate) => candidate.name === name)
    if (spec === undefined) {
      throw refused(
        `\`${what}\` names ${JSON.stringify(name)}; the model has ${specs.map((known) => known.name).join(', ')}`,
      )
    }
    if (typeof spec.dims[axis] !== 'string') {
      throw refused(
        `axis ${axis} of ${JSON.stringify(name)} is not free; its dims are [${spec.dims.join(', ')}]`,
      )
    }
  }
  return specs.map(({ name }) => (Object.hasOwn(axes, name) ? (axes[name] as number) : SHARED))
}

function refused(problem: string): Error {
  return new errors.ERR_INVALID_OPTIONS(`batching.padding: ${problem}`)
}
