import { errors } from '../../errors/errors.js'
import { aligned, viewOf } from '../../protocol/replica/pack-layout.js'
import type { OwnElements, RunShape, RunTask } from '../../protocol/replica/replica-task.js'
import { type BatchPlan, SHARED } from '../../tensors/batch/batch-plan.js'
import { copyElements, elementCount, joinRows, withRows } from '../../tensors/batch/rows.js'
import { newElements } from '../../tensors/coerce-elements.js'
import { ELEMENT_TYPES } from '../../tensors/element-types.js'
import { countOf } from '../../tensors/input/copies.js'
import type { RecycledBuffers } from '../../tensors/recycled-buffers.js'
import type { Signature, Tensor, TensorData, TensorSpec } from '../../tensors/tensor.js'
import { bufferOf, byteLengthOf } from '../../tensors/typed-arrays.js'

/** The part of a request that goes into a pack. */
export interface Packed {
  readonly inputs: readonly Tensor[]
  readonly outputs: readonly string[] | undefined
  /** True if its buffers are transferred instead of copied, where a view covers a whole buffer. */
  readonly transfer: boolean
  readonly rows: number
  /** Length of the request, and the length to which its inputs are padded in a batch. */
  readonly length?: number
  readonly paddedTo?: number
}

/** One run of a pack before it is written: a single request, or several that share the run. */
export interface PackedRun {
  readonly requests: readonly [Packed, ...Packed[]]
  readonly keep: RunShape['keep']
}

/** Returns the run of a single request for all outputs. */
export function aloneRun(inputs: readonly Tensor[], keep?: RunShape['keep']): PackedRun {
  return { requests: [{ inputs, outputs: undefined, transfer: false, rows: 1 }], keep }
}

/**
 * Copies the inputs of all runs into one recycled buffer, once and directly into their places; transferred inputs are
 * listed in the shape.
 * @param outputBytes the space to leave for outputs
 */
export function writePack(
  { inputs }: Signature,
  runs: readonly PackedRun[],
  plan: BatchPlan | undefined,
  buffers: RecycledBuffers,
  outputBytes: number,
): RunTask {
  const shapes = runs.map((run) => shapeOf(inputs, run, plan))
  let bytes = outputBytes
  for (const { dims, separate } of shapes) {
    for (let index = 0; index < inputs.length; index += 1) {
      if (separate?.[index] === undefined) bytes += bytesOf(inputs[index] as TensorSpec, dims[index] ?? [])
    }
  }
  const buffer = buffers.take(bytes)
  let offset = 0
  for (let run = 0; run < runs.length; run += 1) {
    const { dims, separate, rows } = shapes[run] as RunShape
    const { requests } = runs[run] as PackedRun
    for (let index = 0; index < inputs.length; index += 1) {
      if (separate?.[index] !== undefined) continue
      const { type } = inputs[index] as TensorSpec
      const inputDims = dims[index] as readonly number[]
      const count = elementCount(inputDims)
      const target = viewOf(type, buffer, offset, count)
      offset += bytesOf(inputs[index] as TensorSpec, inputDims)
      const axis = rows === undefined ? SHARED : (plan?.inputs[index] as number)
      if (axis === SHARED) copyElements(target, 0, elementsOf(requests[0], index), 0, count)
      else joinRows(target, inputDims, inputsAt(requests, index), axis)
    }
  }
  return { kind: 'run', buffer, runs: shapes, plan: undefined }
}

/**
 * Checks that the inputs still have the size that they had when they were validated: a buffer may have been
 * transferred since.
 * @throws ERR_INVALID_INPUT
 */
export function checkIntact({ inputs: specs }: Signature, inputs: readonly Tensor[]): void {
  for (let index = 0; index < inputs.length; index += 1) {
    const { data, dims } = inputs[index] as Tensor
    const count = elementCount(dims)
    const held = countOf(data)
    if (held === count) continue
    throw new errors.ERR_INVALID_INPUT(
      `input "${specs[index]?.name}" now holds ${held} of ${count} elements; do not transfer its buffer while the request waits`,
    )
  }
}

function shapeOf(
  specs: readonly TensorSpec[],
  { requests, keep }: PackedRun,
  plan: BatchPlan | undefined,
): RunShape {
  const [first] = requests
  const isBatch = requests.length > 1
  const rows = isBatch ? requests.map((request) => request.rows) : undefined
  const total = isBatch ? requests.reduce((sum, request) => sum + request.rows, 0) : 0
  let separate: (OwnElements | undefined)[] | undefined
  const dims = first.inputs.map((tensor, index) => {
    const axis = isBatch ? (plan?.inputs[index] as number) : SHARED
    const inputDims =
      axis === SHARED ? tensor.dims : batchDims(tensor.dims, axis, total, plan?.padding?.inputs[index], first)
    if (specs[index]?.type === 'string') {
      separate ??= new Array(specs.length).fill(undefined)
      separate[index] =
        axis === SHARED ? (tensor.data as string[]) : joinStrings(inputDims, inputsAt(requests, index), axis)
    } else {
      const whole = first.transfer ? wholeBufferOf(tensor.data) : undefined
      if (whole === undefined) return inputDims
      separate ??= new Array(specs.length).fill(undefined)
      separate[index] = whole
    }
    return inputDims
  })
  if (!isBatch || plan?.padding === undefined) return { dims, outputs: first.outputs, rows, separate, keep }
  const lengths = requests.map(({ length }) => length as number)
  return { dims, outputs: first.outputs, rows, lengths, separate, keep }
}

function joinStrings(dims: readonly number[], tensors: readonly Tensor[], axis: number): string[] {
  const joined = newElements('string', elementCount(dims)) as string[]
  joinRows(joined, dims, tensors, axis)
  return joined
}

/** Returns the dims of a batch of requests like the first. */
function batchDims(
  dims: readonly number[],
  axis: number,
  total: number,
  pad: number | undefined,
  { paddedTo }: Packed,
): number[] {
  const padded = withRows(dims, axis, total)
  if (pad !== undefined && pad !== SHARED) padded[pad] = paddedTo as number
  return padded
}

/** Returns one input of every request of a batch. */
function inputsAt(requests: readonly Packed[], index: number): Tensor[] {
  return requests.map(({ inputs }) => inputs[index] as Tensor)
}

function elementsOf({ inputs }: Packed, index: number): TensorData {
  return inputs[index]?.data as TensorData
}

function bytesOf({ type }: TensorSpec, dims: readonly number[]): number {
  return aligned(elementCount(dims) * ELEMENT_TYPES[type].bytesPerElement)
}

/** Returns the buffer of an array that covers the whole of a transferable buffer; undefined for any other. */
function wholeBufferOf(data: TensorData): ArrayBuffer | undefined {
  if (!ArrayBuffer.isView(data)) return undefined
  const buffer = bufferOf(data)
  const bytes = byteLengthOf(data)
  return buffer instanceof ArrayBuffer && bytes === buffer.byteLength && bytes > 0 ? buffer : undefined
}
