import semver from 'semver'
import {
  type AttributeSpec,
  type DataType,
  type dataTypes,
  type FunctionSpec,
  type InitializerSpec,
  type ModelSpec,
  model,
  type NodeSpec,
  node,
  value,
} from '../../../models/synthetic/onnx-builder.js'
import { onnxRuntime } from '../../../src/artifacts/onnx-runtime.js'

/** Dims in which one size stands for the batch. */
export type Dims = readonly (number | 'batch')[]

export interface CorpusInput {
  readonly name: string
  readonly type: DataType
  /** Dims without a batch belong to an input that all rows share. */
  readonly dims: Dims
  /**
   * Limits values to integers from 0 up to but excluding this; by default they are anything that the type can
   * hold.
   */
  readonly below?: number
}

/** A graph, and whether requests may be batched through it. */
export interface CorpusCase {
  readonly name: string
  readonly isSafe: boolean
  readonly bytes: Uint8Array
  readonly inputs: readonly CorpusInput[]
}

/** A computation of y from x that can be put at any place of a graph. */
export interface Part {
  readonly name: string
  readonly isSafe: boolean
  readonly nodes: readonly NodeSpec[]
  /** The dims of x; default: [batch, 3, 5]. */
  readonly dims?: Dims
  /** The type of x; default: float32. */
  readonly type?: DataType
  readonly below?: number
  /** Inputs beside x. */
  readonly more?: readonly CorpusInput[]
  readonly constants?: readonly InitializerSpec[]
  readonly functions?: readonly FunctionSpec[]
  readonly opset?: number
  /** The type of y, which a nested graph has to declare; default: float32. */
  readonly gives?: DataType
  /** The outputs of the graph, if they are not y alone. */
  readonly outputs?: readonly string[]
}

export const cube: Dims = ['batch', 3, 5]

export function inputsOf(part: Part): CorpusInput[] {
  const x: CorpusInput = {
    name: 'x',
    type: part.type ?? 'float32',
    dims: part.dims ?? cube,
    ...(part.below === undefined ? {} : { below: part.below }),
  }
  return [x, ...(part.more ?? [])]
}

/** Returns a graph that consists of the part alone. */
export function direct(part: Part, spec: Partial<ModelSpec> = {}, name = ''): CorpusCase {
  const inputs = inputsOf(part)
  return {
    name: name === '' ? part.name : `${part.name}, ${name}`,
    isSafe: part.isSafe,
    inputs,
    bytes: model({
      inputs: inputs.map((input) => value(input.name, input.type, input.dims)),
      outputs: (part.outputs ?? ['y']).map((each) => value(each, part.gives ?? 'float32')),
      nodes: part.nodes,
      initializers: part.constants ?? [],
      functions: part.functions ?? [],
      ...(part.opset === undefined ? {} : { opset: part.opset }),
      ...spec,
    }),
  }
}

type Attributes = Readonly<Record<string, AttributeSpec>>

/** Returns a part with x and constants as the inputs of one operator. */
export function one(
  op: string,
  attributes: Attributes = {},
  constants: readonly InitializerSpec[] = [],
): Pick<Part, 'nodes' | 'constants'> {
  return { nodes: [node(op, ['x', ...constants.map(({ name }) => name)], ['y'], attributes)], constants }
}

/** Returns a part with nodes in a row, from x to y. */
export function line(
  ...steps: readonly (readonly [op: string, attributes?: Attributes, more?: readonly string[]])[]
): NodeSpec[] {
  return steps.map(([op, attributes, more = []], at) =>
    node(
      op,
      [at === 0 ? 'x' : `t${at}`, ...more],
      [at === steps.length - 1 ? 'y' : `t${at + 1}`],
      attributes,
    ),
  )
}

export const ints = (name: string, ...values: readonly number[]): InitializerSpec =>
  typed('int64', name, [values.length], BigInt64Array.from(values, BigInt))

export const int = (name: string, of: number): InitializerSpec =>
  typed('int64', name, [], BigInt64Array.of(BigInt(of)))

export const floats = (name: string, ...values: readonly number[]): InitializerSpec =>
  typed('float32', name, [values.length], Float32Array.from(values))

export const float = (name: string, of: number): InitializerSpec =>
  typed('float32', name, [], Float32Array.of(of))

/** Returns weights that all differ, between -1 and 1. */
export function weights(name: string, ...dims: readonly number[]): InitializerSpec {
  const length = dims.reduce((all, dim) => all * dim, 1)
  return typed(
    'float32',
    name,
    dims,
    Float32Array.from({ length }, (_, at) => Math.sin(at + 1)),
  )
}

export function typed(
  type: keyof typeof dataTypes,
  name: string,
  dims: readonly number[],
  data: ArrayBufferView,
): InitializerSpec {
  return { name, type, dims, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) }
}

export const safe = (name: string, part: Omit<Part, 'name' | 'isSafe'>): Part => ({
  name,
  isSafe: true,
  ...part,
})
export const unsafe = (name: string, part: Omit<Part, 'name' | 'isSafe'>): Part => ({
  name,
  isSafe: false,
  ...part,
})
/** Returns a part that is safe from a version of onnxruntime on, and unsafe before. */
export const safeSince = (version: string, name: string, part: Omit<Part, 'name' | 'isSafe'>): Part =>
  (semver.gte(onnxRuntime.version(), version) ? safe : unsafe)(name, part)
