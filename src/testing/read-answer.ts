import { errors } from '../errors/errors.js'
import { describeValue } from '../tensors/describe.js'
import { copyOf } from '../tensors/input/copies.js'
import { prepareInputs } from '../tensors/input/prepare-inputs.js'
import type { Signature, Tensor } from '../tensors/tensor.js'

/**
 * Returns the wanted outputs of what `answer` has returned, all if `wanted` is undefined, with elements of their own.
 * @throws ERR_INFERENCE if they do not fit the signature.
 */
export function readAnswer(
  answer: unknown,
  { outputs }: Signature,
  wanted: readonly string[] | undefined,
  subject: { readonly model: string; readonly version: string },
): Tensor[] {
  const names = wanted ?? outputs.map(({ name }) => name)
  const specs = outputs.filter(({ name }) => names.includes(name))
  try {
    const tensors = prepareInputs(
      { inputs: specs, outputs: [] },
      withoutOthers(answer, outputs, names),
      subject,
    )
    return names.map((name) => copyOf(tensors[specs.findIndex((spec) => spec.name === name)] as Tensor))
  } catch (cause) {
    const { message } = cause as Error
    throw new errors.ERR_INFERENCE(
      `\`answer\` of ${subject.model}@${subject.version} returned ${describeValue(answer)}, which does not fit the outputs of its signature: ${message}`,
      { ...subject, cause },
    )
  }
}

/** Leaves out the outputs that the signature has and the request does not want. */
function withoutOthers(answer: unknown, outputs: Signature['outputs'], names: readonly string[]): unknown {
  if (typeof answer !== 'object' || answer === null || names.length === outputs.length) return answer
  const isOther = (name: string): boolean =>
    !names.includes(name) && outputs.some((output) => output.name === name)
  return Object.fromEntries(Object.entries(answer).filter(([name]) => !isOther(name)))
}
