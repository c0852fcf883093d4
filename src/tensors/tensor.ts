/** Element types that onnxruntime-node accepts and returns, by ONNX Runtime's names. */
export const TENSOR_TYPES = [
  'float32',
  'float64',
  'float16',
  'int8',
  'uint8',
  'int16',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'uint64',
  'bool',
  'string',
] as const

/** The element type of a tensor. */
export type TensorType = (typeof TENSOR_TYPES)[number]

/** The array that holds the elements of each type. A float16 element is its bits, a bool element 0 or 1. */
export interface TensorDataMap {
  float32: Float32Array
  float64: Float64Array
  float16: Uint16Array
  int8: Int8Array
  uint8: Uint8Array
  int16: Int16Array
  uint16: Uint16Array
  int32: Int32Array
  uint32: Uint32Array
  int64: BigInt64Array
  uint64: BigUint64Array
  bool: Uint8Array
  string: string[]
}

/** The elements of a tensor, in row-major order. */
export type TensorData = TensorDataMap[TensorType]

/**
 * A dense tensor in row-major order: `data.length` is the product of `dims`
 * (1 for a scalar, whose `dims` is empty). onnxruntime's `Tensor` has the same shape.
 */
export interface Tensor<T extends TensorType = TensorType> {
  readonly type: T
  /** The size of each axis; empty for a scalar. */
  readonly dims: readonly number[]
  /** The elements; the class of the array follows from `type`. */
  readonly data: TensorDataMap[T]
}

/**
 * A value that `predict` accepts for one input: a tensor with its dims, a typed array, nested arrays, or a
 * single value. Without dims, the shape is inferred from the signature and the number of elements.
 */
export type InputValue =
  | Tensor
  | TensorData
  | { readonly type: string; readonly dims: readonly number[]; readonly data: unknown }
  | ArrayBufferView
  | number
  | bigint
  | boolean
  | string
  | readonly InputValue[]

/** The input of a request: the value of each of the model's inputs, by name. */
export type ModelInput = Record<string, InputValue>

/** Input tensors of a run, by name. */
export type Feeds = Record<string, Tensor>
/** Output tensors of a run, by name. */
export type Outputs = Record<string, Tensor>

/** One input or output of a model. */
export interface TensorSpec {
  readonly name: string
  readonly type: TensorType
  /** The size of each axis. A free axis, whose size a request decides, has a name instead, or '' if it has none. */
  readonly dims: readonly (number | string)[]
}

/** An output that cannot be passed to a caller, such as a map. */
export interface UnsupportedOutput {
  readonly name: string
  /** Completes "the output ...", as in "is a sequence". */
  readonly reason: string
}

/** Names, element types and shapes of a model's inputs and outputs. */
export interface Signature {
  readonly inputs: readonly TensorSpec[]
  /** The outputs that a request can name; at least one, unless the model has no outputs. */
  readonly outputs: readonly TensorSpec[]
  /** The model's other outputs; absent if there are none. If there are any, each request must name its outputs. */
  readonly unsupported?: readonly UnsupportedOutput[] | undefined
}
