import { errors } from '../../errors/errors.js'
import type { GcBallast } from '../../memory/gc-ballast.js'
import { aligned, elementsIn, INLINE_BYTES, viewOf } from '../../protocol/replica/pack-layout.js'
import type { EncodedOutputs } from '../../protocol/replica/replica-replies.js'
import { ALIGNMENT, type OwnElements } from '../../protocol/replica/replica-task.js'
import type { BatchPlan, Padding } from '../../tensors/batch/batch-plan.js'
import { resized } from '../../tensors/batch/padding.js'
import { copyElements, elementCount, rowLayout, takeRows, withRows } from '../../tensors/batch/rows.js'
import { byName } from '../../tensors/by-name.js'
import { newElements } from '../../tensors/coerce-elements.js'
import { ELEMENT_TYPES } from '../../tensors/element-types.js'
import type { Outputs, Signature, Tensor, TensorData, TensorSpec } from '../../tensors/tensor.js'

/** One received output, in the memory in which it arrived. */
interface ReceivedOutput extends Tensor {
  /** Index of the output in the signature. */
  readonly output: number
  /** True if its elements are in the pack's buffer, which is used again. */
  readonly isInline: boolean
}

/** Turns the outputs that a thread sent into those that callers receive, in memory of their own. */
export class OutputDecoder {
  readonly #specs: readonly TensorSpec[]
  readonly #names: readonly string[]
  readonly #ballast: Pick<GcBallast, 'count'>

  constructor({ outputs }: Signature, ballast: Pick<GcBallast, 'count'>) {
    this.#ballast = ballast
    this.#specs = outputs
    this.#names = outputs.map(({ name }) => name)
  }

  /**
   * Returns the outputs of one request. With `padding` they are cut back to `length`.
   * @throws ERR_INFERENCE if an output does not match its dims
   */
  single(
    encoded: EncodedOutputs,
    wanted: readonly string[] | undefined,
    buffer: ArrayBuffer | undefined,
    padding?: Padding,
    length = 0,
  ): Outputs {
    const names = wanted ?? this.#names
    const tensors = names.map((_, index): Tensor => {
      const { type, dims, data, output, isInline } = this.#receive(encoded, index, wanted, buffer)
      if (!isInline) {
        this.#ballast.count(data)
        return cutBack({ type, dims, data }, output, padding, length)
      }
      const copy = newElements(type, data.length)
      copyElements(copy, 0, data, 0, data.length)
      return cutBack({ type, dims, data: copy }, output, padding, length)
    })
    return byName(names, tensors)
  }

  /**
   * Yields the outputs of each request of a batch.
   * @throws ERR_INFERENCE if an output does not match its dims, or the number of rows is wrong
   */
  *rows(
    encoded: EncodedOutputs,
    wanted: readonly string[] | undefined,
    buffer: ArrayBuffer | undefined,
    { outputs: axes, padding }: BatchPlan,
    requests: readonly { readonly rows: number; readonly length: number }[],
  ): Generator<Outputs> {
    const names = wanted ?? this.#names
    const total = requests.reduce((sum, { rows }) => sum + rows, 0)
    const outputs = names.map((_, index) => {
      const received = this.#receive(encoded, index, wanted, buffer)
      const axis = axes[received.output] as number
      if (received.dims[axis] !== total) throw this.#mismatch(received.output, received.dims)
      return { ...received, axis, layout: rowLayout(received.dims, axis) }
    })
    let at = 0
    for (const { rows, length } of requests) {
      const tensors = outputs.map(({ type, dims, data, axis, output, layout }): Tensor => {
        const elements = takeRows(type, data, layout, at, rows)
        return cutBack({ type, dims: withRows(dims, axis, rows), data: elements }, output, padding, length)
      })
      at += rows
      yield byName(names, tensors)
    }
  }

  /** Returns the number of bytes that outputs for `rows` rows take of a pack's buffer, or would take. */
  bytesOf(encoded: EncodedOutputs, wanted: readonly string[] | undefined, rows: number): number {
    let sum = 0
    for (let index = 0; index < encoded.dims.length; index += 1) {
      const { type } = this.#specs[this.#outputAt(index, wanted)] as TensorSpec
      const { bytesPerElement } = ELEMENT_TYPES[type]
      const bytes = elementCount(encoded.dims[index] as number[]) * bytesPerElement
      if (bytes <= rows * INLINE_BYTES) sum += aligned(bytes)
    }
    return sum
  }

  /**
   * Returns one output. It is checked before it is read, because the rest of the pack's buffer belongs to other
   * requests.
   * @throws ERR_INFERENCE
   */
  #receive(
    encoded: EncodedOutputs,
    index: number,
    wanted: readonly string[] | undefined,
    buffer: ArrayBuffer | undefined,
  ): ReceivedOutput {
    const output = this.#outputAt(index, wanted)
    const { type } = this.#specs[output] as TensorSpec
    const dims = encoded.dims[index] as readonly number[]
    const found = encoded.data[index] as number | OwnElements
    const count = sizeOf(dims)
    const bytes = count * ELEMENT_TYPES[type].bytesPerElement
    const isInline = typeof found === 'number'
    let data: TensorData | undefined
    if (isInline) {
      const isPlace = found >= 0 && found % ALIGNMENT === 0
      if (isPlace && buffer !== undefined && found + bytes <= buffer.byteLength) {
        data = viewOf(type, buffer, found, count)
      }
    } else if (type === 'string' ? Array.isArray(found) : (found as ArrayBuffer).byteLength === bytes) {
      data = elementsIn(type, found, count)
    }
    if (data?.length !== count) throw this.#mismatch(output, dims)
    return { type, dims, data, output, isInline }
  }

  #mismatch(output: number, dims: readonly number[]): Error {
    const name = JSON.stringify(this.#names[output])
    return new errors.ERR_INFERENCE(`output ${name} does not match its dims [${dims}]`)
  }

  /** Returns the index in the signature of the wanted output at `index`. */
  #outputAt(index: number, wanted: readonly string[] | undefined): number {
    return wanted === undefined ? index : this.#names.indexOf(wanted[index] as string)
  }
}

/** Returns the number of elements; NaN if a dim is not a valid size. */
function sizeOf(dims: readonly number[]): number {
  let count = 1
  for (const dim of dims) count *= Number.isSafeInteger(dim) && dim >= 0 ? dim : Number.NaN
  return count
}

function cutBack(tensor: Tensor, output: number, padding: Padding | undefined, length: number): Tensor {
  return padding === undefined ? tensor : resized(tensor, padding.outputs[output] as number, length)
}
