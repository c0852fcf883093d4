import { inspect } from 'node:util'
import { errors } from '../src/errors.js'
import type { LoadedModel } from '../src/protocol/loader.js'
import { ARRAY_CLASSES } from '../src/tensors/element-types.js'
import {
  type Outputs,
  type Signature,
  TENSOR_TYPES,
  type TensorSpec,
  type UnsupportedOutput,
} from '../src/tensors/tensor.js'

interface Subject {
  readonly model: string
  readonly version: string
}

/**
 * What a custom loader resolves with, before anybody relies on it.
 * @throws ERR_MODEL_LOAD naming what is not as it should be.
 */
export function checkLoaded(loaded: unknown, subject: Subject): LoadedModel {
  const { signature, run, release } = (loaded ?? {}) as { [K in keyof LoadedModel]?: unknown }
  const problem =
    signatureProblem(signature) ??
    unsupportedProblem((signature as Signature).unsupported) ??
    (typeof run === 'function' ? undefined : `\`run\` is ${inspect(run)}, a function is expected`) ??
    (release === undefined || typeof release === 'function'
      ? undefined
      : `\`release\` is ${inspect(release)}, a function or nothing is expected`)
  if (problem === undefined) return loaded as LoadedModel
  throw new errors.ERR_MODEL_LOAD(`the loader's \`load\` resolves with what is no model: ${problem}`, subject)
}

/**
 * What a custom loader's model answers with, before it is sent.
 * @throws ERR_INFERENCE naming the output.
 */
export function checkOutputs(
  outputs: Outputs,
  { outputs: specs }: Signature,
  wanted: readonly string[] | undefined,
  subject: Subject,
): void {
  for (const spec of specs) {
    if (wanted !== undefined && !wanted.includes(spec.name)) continue
    const problem = outputProblem(outputs?.[spec.name], spec)
    if (problem === undefined) continue
    throw new errors.ERR_INFERENCE(
      `the loader's \`run\` answers with output "${spec.name}" that ${problem}`,
      subject,
    )
  }
}

function signatureProblem(signature: unknown): string | undefined {
  const given = (signature ?? {}) as Record<string, unknown>
  for (const side of ['inputs', 'outputs']) {
    const specs = given[side]
    if (!Array.isArray(specs)) return `\`signature.${side}\` is ${inspect(specs)}, an array is expected`
    for (const [index, spec] of specs.entries()) {
      const at = `\`signature.${side}[${index}]`
      const { name, type, dims } = (spec ?? {}) as { [K in keyof TensorSpec]?: unknown }
      if (typeof name !== 'string') return `${at}.name\` is ${inspect(name)}, a string is expected`
      if (!TENSOR_TYPES.some((known) => known === type)) {
        return `${at}.type\` is ${inspect(type)}; known: ${TENSOR_TYPES.join(', ')}`
      }
      if (!Array.isArray(dims) || !dims.every(isDim)) {
        return `${at}.dims\` is ${inspect(dims)}, an array of sizes and names is expected`
      }
    }
  }
  return undefined
}

function unsupportedProblem(unsupported: unknown): string | undefined {
  const isWellFormed = (each: unknown): boolean => {
    const { name, reason } = (each ?? {}) as { [K in keyof UnsupportedOutput]?: unknown }
    return typeof name === 'string' && typeof reason === 'string'
  }
  if (unsupported === undefined || (Array.isArray(unsupported) && unsupported.every(isWellFormed))) {
    return undefined
  }
  return `\`signature.unsupported\` is ${inspect(unsupported)}, an array of names and reasons is expected`
}

function isDim(dim: unknown): boolean {
  return typeof dim === 'string' || (Number.isSafeInteger(dim) && (dim as number) >= 0)
}

function outputProblem(output: unknown, { type }: TensorSpec): string | undefined {
  const { type: given, dims, data } = (output ?? {}) as { type?: unknown; dims?: unknown; data?: unknown }
  if (given !== type) return `has type ${inspect(given)}, the signature says '${type}'`
  if (!Array.isArray(dims) || !dims.every((dim) => isDim(dim) && typeof dim === 'number')) {
    return `has dims ${inspect(dims)}, an array of sizes is expected`
  }
  const expected = type === 'string' ? Array : ARRAY_CLASSES[type]
  if (!(data instanceof expected)) return `has data that is no ${expected.name}`
  const count = dims.reduce<number>((product, dim) => product * dim, 1)
  return data.length === count ? undefined : `has ${data.length} elements, its dims [${dims}] need ${count}`
}
