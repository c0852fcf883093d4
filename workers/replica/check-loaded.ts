import { inspect } from 'node:util'
import { errors } from '../../src/errors/errors.js'
import type { LoadedModel } from '../../src/protocol/loader.js'
import { elementCount } from '../../src/tensors/batch/rows.js'
import { newElements } from '../../src/tensors/coerce-elements.js'
import { ELEMENT_TYPES } from '../../src/tensors/element-types.js'
import {
  type Feeds,
  type Outputs,
  type Signature,
  TENSOR_TYPES,
  type Tensor,
  type TensorData,
  type TensorSpec,
  type TensorType,
  type UnsupportedOutput,
} from '../../src/tensors/tensor.js'
import { type AnyTypedArray, lengthOf, typedArrayName, viewOver } from '../../src/tensors/typed-arrays.js'

interface Subject {
  readonly model: string
  readonly version: string
}

/**
 * Checks the model that a custom loader resolves with, and returns a copy, so that each property is read only
 * once.
 * @throws ERR_MODEL_LOAD naming the property that is wrong.
 */
export function checkLoaded(loaded: unknown, subject: Subject): LoadedModel {
  const refuse = (problem: string): Error =>
    new errors.ERR_MODEL_LOAD(`the loader's \`load\` did not resolve with a model: ${problem}`, subject)
  const { signature, run, release } = (loaded ?? {}) as { [K in keyof LoadedModel]?: unknown }
  const { inputs, outputs, unsupported } = (signature ?? {}) as { [K in keyof Signature]?: unknown }
  const checked = {
    inputs: specsOf(inputs, '`signature.inputs', refuse),
    outputs: specsOf(outputs, '`signature.outputs', refuse),
    ...(unsupported === undefined ? {} : { unsupported: unsupportedOf(unsupported, refuse) }),
  }
  if (typeof run !== 'function') throw refuse(`\`run\` is ${inspect(run)}, a function is expected`)
  if (release !== undefined && typeof release !== 'function') {
    throw refuse(`\`release\` is ${inspect(release)}, a function or nothing is expected`)
  }
  return {
    signature: checked,
    run: (feeds: Feeds, wanted) => Reflect.apply(run, loaded, [feeds, wanted]) as Outputs | Promise<Outputs>,
    ...(release === undefined ? {} : { release: () => Reflect.apply(release, loaded, []) as Promise<void> }),
  }
}

/**
 * Returns the wanted outputs of a custom loader's model, or all if `wanted` is absent. They are new objects
 * and views, so that each property is read only once.
 * @throws ERR_INFERENCE naming the output that is wrong.
 */
export function readOutputs(
  outputs: Outputs,
  { outputs: specs }: Signature,
  wanted: readonly string[] | undefined,
  subject: Subject,
): Tensor[] {
  const names = wanted ?? specs.map(({ name }) => name)
  return names.map((name) => {
    const { type } = specs.find((spec) => spec.name === name) as TensorSpec
    const output = readOutput(outputs?.[name], type)
    if (typeof output !== 'string') return output
    throw new errors.ERR_INFERENCE(
      `the loader's \`run\` returned an output "${name}" that ${output}`,
      subject,
    )
  })
}

function specsOf(specs: unknown, where: string, refuse: (problem: string) => Error): TensorSpec[] {
  if (!Array.isArray(specs)) throw refuse(`${where}\` is ${inspect(specs)}, an array is expected`)
  const names = new Set<string>()
  return Array.from(specs, (spec: unknown, index) => {
    const at = `${where}[${index}]`
    const { name, type, dims } = (spec ?? {}) as { [K in keyof TensorSpec]?: unknown }
    if (typeof name !== 'string') throw refuse(`${at}.name\` is ${inspect(name)}, a string is expected`)
    if (names.has(name)) throw refuse(`${at}.name\` is ${inspect(name)}, the name of another one too`)
    names.add(name)
    if (!isTensorType(type)) {
      throw refuse(`${at}.type\` is ${inspect(type)}; known: ${TENSOR_TYPES.join(', ')}`)
    }
    const copiedDims = Array.isArray(dims) ? Array.from(dims as readonly unknown[]) : undefined
    if (copiedDims === undefined || !copiedDims.every(isDim)) {
      throw refuse(`${at}.dims\` is ${inspect(dims)}, an array of sizes and names is expected`)
    }
    return { name, type, dims: copiedDims }
  })
}

function unsupportedOf(unsupported: unknown, refuse: (problem: string) => Error): UnsupportedOutput[] {
  const outputs = Array.isArray(unsupported) ? Array.from(unsupported as readonly unknown[]) : [undefined]
  return outputs.map((output) => {
    const { name, reason } = (output ?? {}) as { [K in keyof UnsupportedOutput]?: unknown }
    if (typeof name === 'string' && typeof reason === 'string') return { name, reason }
    throw refuse(
      `\`signature.unsupported\` is ${inspect(unsupported)}, an array of names and reasons is expected`,
    )
  })
}

function isTensorType(type: unknown): type is TensorType {
  return TENSOR_TYPES.some((name) => name === type)
}

function isDim(dim: unknown): dim is number | string {
  return typeof dim === 'string' || isSize(dim)
}

function isSize(dim: unknown): dim is number {
  return Number.isSafeInteger(dim) && (dim as number) >= 0
}

/** Returns the output as a new tensor, or a description of the problem. */
function readOutput(output: unknown, type: TensorType): Tensor | string {
  const {
    type: actualType,
    dims,
    data,
  } = (output ?? {}) as { type?: unknown; dims?: unknown; data?: unknown }
  if (actualType !== type) return `has type ${inspect(actualType)}, the signature says '${type}'`
  const copiedDims = Array.isArray(dims) ? Array.from(dims as readonly unknown[]) : undefined
  if (copiedDims === undefined || !copiedDims.every(isSize))
    return `has dims ${inspect(dims)}, an array of sizes is expected`
  const count = elementCount(copiedDims)
  const { arrayName } = ELEMENT_TYPES[type]
  const isHolder = type === 'string' ? Array.isArray(data) : typedArrayName(data) === arrayName
  if (!isHolder) return `has data that is no ${arrayName}`
  const length = type === 'string' ? (data as unknown[]).length : lengthOf(data as AnyTypedArray)
  if (length !== count) return `has ${length} elements, its dims [${copiedDims}] need ${count}`
  const elements =
    type === 'string' ? stringsOf(data as unknown[], count) : viewOf(type, data as AnyTypedArray)
  return elements === undefined
    ? 'has elements that are not strings'
    : { type, dims: copiedDims, data: elements }
}

function stringsOf(data: readonly unknown[], count: number): string[] | undefined {
  const copied: string[] = []
  for (let index = 0; index < count; index += 1) {
    const element = data[index]
    if (typeof element !== 'string') return undefined
    copied.push(element)
  }
  return copied
}

/** Returns a view of the built-in class; an array without elements may have lost its buffer, so a new one is made. */
function viewOf(type: TensorType, data: AnyTypedArray): TensorData {
  const length = lengthOf(data)
  return length === 0 ? newElements(type, 0) : viewOver(data, 0, length)
}
