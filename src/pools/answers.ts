import { answerCredit } from '../memory/answer-credit.js'
import type { Answer } from '../protocol/messages.js'
import { aligned, INLINE_BYTES, viewOf } from '../protocol/pack-layout.js'
import type { BatchPlan, Padding } from '../tensors/batch-plan.js'
import { byName } from '../tensors/by-name.js'
import { newElements } from '../tensors/coerce-elements.js'
import { ELEMENT_TYPES } from '../tensors/element-types.js'
import { resized } from '../tensors/padding.js'
import { copyElements, elementCount, rowLayout, takeRows, withRows } from '../tensors/rows.js'
import type { Outputs, Signature, Tensor, TensorData, TensorSpec } from '../tensors/tensor.js'

/** Turns what a thread has answered into what callers get: memory that nobody else can write into. */
export class AnswerReader {
  readonly #specs: readonly TensorSpec[]
  readonly #names: readonly string[]

  constructor({ outputs }: Signature) {
    this.#specs = outputs
    this.#names = outputs.map(({ name }) => name)
  }

  /** The answer to one request; with `padding` to one that had been filled up from that length. */
  single(
    answer: Answer,
    wanted: readonly string[] | undefined,
    buffer: ArrayBuffer | undefined,
    padding?: Padding,
    length = 0,
  ): Outputs {
    const names = wanted ?? this.#names
    const tensors = names.map((_, index): Tensor => {
      const output = this.#outputAt(index, wanted)
      const { type } = this.#specs[output] as TensorSpec
      const dims = answer.dims[index] as number[]
      const found = answer.data[index] as number | TensorData
      if (typeof found !== 'number') {
        answerCredit.count(found)
        return cutBack({ type, dims, data: found }, output, padding, length)
      }
      const count = elementCount(dims)
      const data = newElements(type, count)
      copyElements(data, 0, viewOf(type, buffer as ArrayBuffer, found, count), 0, count)
      return cutBack({ type, dims, data }, output, padding, length)
    })
    return byName(names, tensors)
  }

  /** The answers to the requests of a batch. */
  *rows(
    answer: Answer,
    wanted: readonly string[] | undefined,
    buffer: ArrayBuffer | undefined,
    { outputs: axes, padding }: BatchPlan,
    requests: readonly { readonly rows: number; readonly length: number }[],
  ): Generator<Outputs> {
    const names = wanted ?? this.#names
    const outputs = names.map((_, index) => {
      const output = this.#outputAt(index, wanted)
      const { type } = this.#specs[output] as TensorSpec
      const dims = answer.dims[index] as number[]
      const found = answer.data[index] as number | TensorData
      const all =
        typeof found === 'number' ? viewOf(type, buffer as ArrayBuffer, found, elementCount(dims)) : found
      const axis = axes[output] as number
      return { type, dims, all, axis, output, layout: rowLayout(dims, axis) }
    })
    let at = 0
    for (const { rows, length } of requests) {
      const tensors = outputs.map(({ type, dims, all, axis, output, layout }): Tensor => {
        const data = takeRows(type, all, layout, at, rows)
        return cutBack({ type, dims: withRows(dims, axis, rows), data }, output, padding, length)
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

  /** Which of the signature's outputs the wanted one at that place is. */
  #outputAt(index: number, wanted: readonly string[] | undefined): number {
    return wanted === undefined ? index : this.#names.indexOf(wanted[index] as string)
  }
}

function cutBack(tensor: Tensor, output: number, padding: Padding | undefined, length: number): Tensor {
  return padding === undefined ? tensor : resized(tensor, padding.outputs[output] as number, length)
}
