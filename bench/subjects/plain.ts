/** Tensor in a form that the runtime, onnxruntime-node and structured clone all accept. */
export type PlainTensor =
  | { readonly type: 'float32'; readonly dims: readonly number[]; readonly data: Float32Array }
  | { readonly type: 'int64'; readonly dims: readonly number[]; readonly data: BigInt64Array }

export type PlainInput = Readonly<Record<string, PlainTensor>>

/** Output tensor of any variant, as far as it is compared. */
export interface PlainOutput {
  readonly dims: readonly number[]
  readonly data: ArrayLike<unknown>
}

export type PlainOutputs = Readonly<Record<string, PlainOutput>>

const RTOL = 1e-3
const ATOL = 1e-5

/** Returns true if outputs equal the reference; numbers may differ by 1e-5 plus 1e-3 of the value. */
export function isSameOutputs(outputs: PlainOutputs, reference: PlainOutputs): boolean {
  const names = Object.keys(reference)
  if (Object.keys(outputs).length !== names.length) return false
  return names.every((name) => {
    const output = outputs[name]
    return output !== undefined && isSameOutput(output, reference[name] as PlainOutput)
  })
}

function isSameOutput({ dims, data }: PlainOutput, reference: PlainOutput): boolean {
  if (dims.length !== reference.dims.length || data.length !== reference.data.length) return false
  if (!dims.every((size, axis) => size === reference.dims[axis])) return false
  for (let index = 0; index < data.length; index += 1) {
    if (!isClose(data[index], reference.data[index])) return false
  }
  return true
}

function isClose(value: unknown, reference: unknown): boolean {
  if (value === reference) return true
  if (typeof value !== 'number' || typeof reference !== 'number') return false
  // Written so that NaN is close to nothing.
  return Math.abs(value - reference) <= ATOL + RTOL * Math.abs(reference)
}
