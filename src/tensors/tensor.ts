/** Element types onnxruntime-node can take in and give out, by ONNX Runtime's names. */
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

export type TensorType = (typeof TENSOR_TYPES)[number]

/** What holds the elements of each type. float16 is always its bits; bool is 0 or 1. */
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

export type TensorData = TensorDataMap[TensorType]

/**
 * A dense tensor in row-major order: `data.length` is the product of `dims`
 * (1 for a scalar, whose `dims` is empty). onnxruntime's `Tensor` has the same shape.
 */
export interface Tensor<T extends TensorType = TensorType> {
  readonly type: T
  readonly dims: readonly number[]
  readonly data: TensorDataMap[T]
}

/** A value `predict` accepts for one input; dims follow from the signature where they can. */
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

export type ModelInput = Record<string, InputValue>

/** Named tensors that go into a run. */
export type Feeds = Record<string, Tensor>
/** Named tensors that come out of a run. */
export type Outputs = Record<string, Tensor>

/** One input or output of a model. A dim is a size, or a name ('' if it has none) when it is free. */
export interface TensorSpec {
  readonly name: string
  readonly type: TensorType
  readonly dims: readonly (number | string)[]
}

/** An output that cannot be passed to a caller, such as a map. */
export interface UnsupportedOutput {
  readonly name: string
  /** Completes "the output ...", as in "is a sequence". */
  readonly reason: string
}

/** Names, element types and shapes of what a model takes and gives. */
export interface Signature {
  readonly inputs: readonly TensorSpec[]
  /** The outputs that can be asked for, one at least unless the model has none. */
  readonly outputs: readonly TensorSpec[]
  /** The model's other outputs; absent if there are none. A request has to name outputs then. */
  readonly unsupported?: readonly UnsupportedOutput[] | undefined
}
