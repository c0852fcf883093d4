import { answerCredit } from '../memory/answer-credit.js'
import type { Answer } from '../protocol/messages.js'
import { aligned, INLINE_BYTES, viewOf } from '../protocol/pack-layout.js'
import { byName } from '../tensors/by-name.js'
import { newElements } from '../tensors/coerce-elements.js'
import { ELEMENT_TYPES } from '../tensors/element-types.js'
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

  /** The answer to one request. */
  single(answer: Answer, wanted: readonly string[] | undefined, buffer: ArrayBuffer | undefined): Outputs {
    const names = wanted ?? this.#names
    const tensors = names.map((name, index): Tensor => {
      const { type } = this.#specOf(name, index, wanted)
      const dims = answer.dims[index] as number[]
      const found = answer.data[index] as number | TensorData
      if (typeof found !== 'number') {
        answerCredit.count(found)
        return { type, dims, data: found }
      }
      const count = elementCount(dims)
      const data = newElements(type, count)
      copyElements(data, 0, viewOf(type, buffer as ArrayBuffer, found, count), 0, count)
      return { type, dims, data }
    })
    // Piscina's record of the task outlives it, and would keep the answer until a full collection.
    answer.data = []
    return byName(names, tensors)
  }

  /** The answers to the requests of a batch, each `rows[i]` rows along the outputs' axes. */
  *rows(
    answer: Answer,
    wanted: readonly string[] | undefined,
    buffer: ArrayBuffer | undefined,
    axes: readonly number[],
    rows: readonly number[],
  ): Generator<Outputs> {
    const names = wanted ?? this.#names
    const outputs = names.map((name, index) => {
      const { type } = this.#specOf(name, index, wanted)
      const dims = answer.dims[index] as number[]
      const found = answer.data[index] as number | TensorData
      const all =
        typeof found === 'number' ? viewOf(type, buffer as ArrayBuffer, found, elementCount(dims)) : found
      const axis = axes[wanted === undefined ? index : this.#names.indexOf(name)] as number
      return { type, dims, all, axis, layout: rowLayout(dims, axis) }
    })
    let at = 0
    for (const own of rows) {
      const tensors = outputs.map(({ type, dims, all, axis, layout }): Tensor => {
        return { type, dims: withRows(dims, axis, own), data: takeRows(type, all, layout, at, own) }
      })
      at += own
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
