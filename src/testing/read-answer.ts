import { errors, messageOf } from '../errors/errors.js'
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
  } catch (error) {
    throw new errors.ERR_INFERENCE(
      `\`answer\` of ${subject.model}@${subject.version} returned what does not fit its signature: ${ofOutputs(messageOf(error))}`,
      { ...subject, cause: (error as Error).cause },
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

/** Returns what is said of inputs as said of outputs, but for names and values in quotes. */
function ofOutputs(message: string): string {
  return message.replace(/"(?:[^"\\]|\\.)*"|\binput(s?)\b/g, (found, plural) =>
    plural === undefined ? found : `output${plural}`,
  )
}
