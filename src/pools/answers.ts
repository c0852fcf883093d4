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

/** Up to where outputs of a request that was filled up are its own. */
export interface Cut {
  readonly padding: Padding
  readonly length: number
}

function cutBack(tensor: Tensor, output: number, cut: Cut | undefined): Tensor {
  return cut === undefined ? tensor : resized(tensor, cut.padding.outputs[output] as number, cut.length)
}

/** Turns what a thread has answered into what callers get: memory that nobody else can write into. */
export class AnswerReader {
  readonly #specs: readonly TensorSpec[]
  readonly #names: readonly string[]

  constructor({ outputs }: Signature) {
    this.#specs = outputs
    this.#names = outputs.map(({ name }) => name)
  }

  /** The answer to one request; `cut` is where its inputs had been filled up. */
  single(
    answer: Answer,
    wanted: readonly string[] | undefined,
    buffer: ArrayBuffer | undefined,
    cut?: Cut,
  ): Outputs {
    const names = wanted ?? this.#names
    const tensors = names.map((name, index): Tensor => {
      const at = wanted === undefined ? index : this.#names.indexOf(name)
      const { type } = this.#specs[at] as TensorSpec
      const dims = answer.dims[index] as number[]
      const found = answer.data[index] as number | TensorData
      if (typeof found !== 'number') {
        answerCredit.count(found)
        return cutBack({ type, dims, data: found }, at, cut)
      }
      const count = elementCount(dims)
      const data = newElements(type, count)
      copyElements(data, 0, viewOf(type, buffer as ArrayBuffer, found, count), 0, count)
      return cutBack({ type, dims, data }, at, cut)
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
    const outputs = names.map((name, index) => {
      const { type } = this.#specOf(name, index, wanted)
      const dims = answer.dims[index] as number[]
      const found = answer.data[index] as number | TensorData
      const all =
        typeof found === 'number' ? viewOf(type, buffer as ArrayBuffer, found, elementCount(dims)) : found
      const output = wanted === undefined ? index : this.#names.indexOf(name)
      const axis = axes[output] as number
      return { type, dims, all, axis, output, layout: rowLayout(dims, axis) }
    })
    let at = 0
    for (const { rows, length } of requests) {
      const cut = padding === undefined ? undefined : { padding, length }
      const tensors = outputs.map(({ type, dims, all, axis, output, layout }): Tensor => {
        const data = takeRows(type, all, layout, at, rows)
        return cutBack({ type, dims: withRows(dims, axis, rows), data }, output, cut)
      })
      at += rows
      yield byName(names, tensors)
    }
  }

  /** What an answer to so many rows takes of a pack's buffer, or would. */
  bytesOf(answer: Answer, wanted: readonly string[] | undefined, rows: number): number {
    let sum = 0
    for (let index = 0; index < answer.dims.length; index += 1) {
      const name = (wanted ?? this.#names)[index] as string
      const { bytesPerElement } = ELEMENT_TYPES[this.#specOf(name, index, wanted).type]
      const bytes = elementCount(answer.dims[index] as number[]) * bytesPerElement
      if (bytes <= rows * INLINE_BYTES) sum += aligned(bytes)
    }
    return sum
  }

  #specOf(name: string, index: number, wanted: readonly string[] | undefined): TensorSpec {
    const at = wanted === undefined ? index : this.#names.indexOf(name)
    return this.#specs[at] as TensorSpec
  }
}
