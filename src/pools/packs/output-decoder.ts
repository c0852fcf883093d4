import { errors } from '../../errors/errors.js'
import type { GcBallast } from '../../memory/gc-ballast.js'
import { aligned, elementsIn, INLINE_BYTES, viewOf } from '../../protocol/replica/pack-layout.js'
import type { Answer } from '../../protocol/replica/replica-replies.js'
import { ALIGNMENT, type OwnElements } from '../../protocol/replica/replica-task.js'
import type { BatchPlan, Padding } from '../../tensors/batch/batch-plan.js'
import { resized } from '../../tensors/batch/padding.js'
import { copyElements, elementCount, rowLayout, takeRows, withRows } from '../../tensors/batch/rows.js'
import { byName } from '../../tensors/by-name.js'
import { newElements } from '../../tensors/coerce-elements.js'
import { ELEMENT_TYPES } from '../../tensors/element-types.js'
import type { Outputs, Signature, Tensor, TensorData, TensorSpec } from '../../tensors/tensor.js'

/** One output of an answer where it has arrived. */
interface Arrived extends Tensor {
  /** Which of the signature's outputs it is. */
  readonly output: number
  /** Its elements are in the pack's buffer, which is used again. */
  readonly isInline: boolean
}

/** Turns what a thread has answered into what callers get: memory that nobody else can write into. */
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
   * The answer to one request; with `padding` to one that had been filled up from that length.
   * @throws ERR_INFERENCE if it is not as its dims say.
   */
  single(
    answer: Answer,
    wanted: readonly string[] | undefined,
    buffer: ArrayBuffer | undefined,
    padding?: Padding,
    length = 0,
  ): Outputs {
    const names = wanted ?? this.#names
    const tensors = names.map((_, index): Tensor => {
      const { type, dims, data, output, isInline } = this.#arrived(answer, index, wanted, buffer)
      if (!isInline) {
        this.#ballast.count(data)
        return cutBack({ type, dims, data }, output, padding, length)
      }
      const own = newElements(type, data.length)
      copyElements(own, 0, data, 0, data.length)
      return cutBack({ type, dims, data: own }, output, padding, length)
    })
    return byName(names, tensors)
  }

  /**
   * The answers to the requests of a batch.
   * @throws ERR_INFERENCE if they are not as their dims say, or not as many.
   */
  *rows(
    answer: Answer,
    wanted: readonly string[] | undefined,
    buffer: ArrayBuffer | undefined,
    { outputs: axes, padding }: BatchPlan,
    requests: readonly { readonly rows: number; readonly length: number }[],
  ): Generator<Outputs> {
    const names = wanted ?? this.#names
    const total = requests.reduce((sum, { rows }) => sum + rows, 0)
    const outputs = names.map((_, index) => {
      const arrived = this.#arrived(answer, index, wanted, buffer)
      const axis = axes[arrived.output] as number
      if (arrived.dims[axis] !== total) throw this.#broken(arrived.output, arrived.dims)
      return { ...arrived, axis, layout: rowLayout(arrived.dims, axis) }
    })
    let at = 0
    for (const { rows, length } of requests) {
      const tensors = outputs.map(({ type, dims, data, axis, output, layout }): Tensor => {
        const own = takeRows(type, data, layout, at, rows)
        return cutBack({ type, dims: withRows(dims, axis, rows), data: own }, output, padding, length)
      })
      at += rows
      yield byName(names, tensors)
    }
  }

  /** What an answer to so many rows takes of a pack's buffer, or would. */
  bytesOf(answer: Answer, wanted: readonly string[] | undefined, rows: number): number {
    let sum = 0
    for (let index = 0; index < answer.dims.length; index += 1) {
      const { type } = this.#specs[this.#outputAt(index, wanted)] as TensorSpec
      const { bytesPerElement } = ELEMENT_TYPES[type]
      const bytes = elementCount(answer.dims[index] as number[]) * bytesPerElement
      if (bytes <= rows * INLINE_BYTES) sum += aligned(bytes)
    }
    return sum
  }

  /** Checked before it is read: what is beyond it in the pack's buffer belongs to other requests. */
  #arrived(
    answer: Answer,
    index: number,
    wanted: readonly string[] | undefined,
    buffer: ArrayBuffer | undefined,
  ): Arrived {
    const output = this.#outputAt(index, wanted)
    const { type } = this.#specs[output] as TensorSpec
    const dims = answer.dims[index] as readonly number[]
    const found = answer.data[index] as number | OwnElements
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
    if (data?.length !== count) throw this.#broken(output, dims)
    return { type, dims, data, output, isInline }
  }

  #broken(output: number, dims: readonly number[]): Error {
    const name = JSON.stringify(this.#names[output])
    return new errors.ERR_INFERENCE(`output ${name} has arrived otherwise than its dims [${dims}] say`)
  }

  /** Which of the signature's outputs the wanted one at that place is. */
  #outputAt(index: number, wanted: readonly string[] | undefined): number {
    return wanted === undefined ? index : this.#names.indexOf(wanted[index] as string)
  }
}

/** How many elements there are; NaN if one of the dims is no size. */
function sizeOf(dims: readonly number[]): number {
  let count = 1
  for (const dim of dims) count *= Number.isSafeInteger(dim) && dim >= 0 ? dim : Number.NaN
  return count
}

function cutBack(tensor: Tensor, output: number, padding: Padding | undefined, length: number): Tensor {
  return padding === undefined ? tensor : resized(tensor, padding.outputs[output] as number, length)
}
