import { describe, expect, it } from 'vitest'
import { GcBallast } from '../../../../src/memory/gc-ballast.js'
import { OutputDecoder } from '../../../../src/pools/packs/output-decoder.js'
import { type Packed, writePack } from '../../../../src/pools/packs/write-pack.js'
import { readRun } from '../../../../src/protocol/replica/pack-layout.js'
import type { BatchPlan } from '../../../../src/tensors/batch/batch-plan.js'
import { difference } from '../../../../src/tensors/batch/difference.js'
import { resized } from '../../../../src/tensors/batch/padding.js'
import { copyBlock, joinRows, rowLayout, takeRows } from '../../../../src/tensors/batch/rows.js'
import { newElements } from '../../../../src/tensors/coerce-elements.js'
import { ELEMENT_TYPES } from '../../../../src/tensors/element-types.js'
import { copyOf } from '../../../../src/tensors/input/copies.js'
import { RecycledBuffers } from '../../../../src/tensors/recycled-buffers.js'
import {
  type Signature,
  TENSOR_TYPES,
  type Tensor,
  type TensorData,
  type TensorType,
} from '../../../../src/tensors/tensor.js'
import { join, split } from '../../../../workers/batch-proof/batch-rows.js'
import { perturbedSamples } from '../../../../workers/batch-proof/perturbed-samples.js'
import { ELEMENT_OF, elementsOf, tensorOf } from '../../../support/element-values.js'

const numbers = (count: number, first = 1): number[] => Array.from({ length: count }, (_, at) => at + first)

const listOf = (data: TensorData): unknown[] => Array.from(data as ArrayLike<unknown>)

/** Returns one row with `length` elements that no other row has. */
const rowOf = (type: TensorType, length: number, first: number): Tensor =>
  tensorOf(type, [1, length], numbers(length, first))

/** Returns the row padded with zeros. */
function filled(type: TensorType, length: number, first: number, longer: number): unknown[] {
  const zeros = new Array<unknown>(longer - length).fill(ELEMENT_TYPES[type].zero)
  return [...numbers(length, first).map(ELEMENT_OF[type]), ...zeros]
}

/** Lengths of rows: short ones are copied in another way than long ones. */
const LENGTHS = [3, 5, 50]

const PLAN: BatchPlan = { inputs: [0], outputs: [0], padding: { inputs: [1], outputs: [1] } }

describe.each(TENSOR_TYPES)('%s', (type) => {
  const signature: Signature = {
    inputs: [{ name: 'x', type, dims: ['batch', 'length'] }],
    outputs: [{ name: 'y', type, dims: ['batch', 'length'] }],
  }
  const rows = LENGTHS.map((length, index) => rowOf(type, length, 1 + 40 * index))
  const paddedTo = 64
  const padded = LENGTHS.flatMap((length, index) => filled(type, length, 1 + 40 * index, paddedTo))

  it('is allocated with zeros or empty strings', () => {
    expect(listOf(newElements(type, 2))).toEqual([ELEMENT_TYPES[type].zero, ELEMENT_TYPES[type].zero])
  })

  it('is copied into a separate tensor', () => {
    const [row] = rows as [Tensor]
    const copy = copyOf(row)
    expect(copy).toEqual(row)
    expect(copy.data).not.toBe(row.data)
  })

  it.each([0, 1, 2])('is joined and split again along axis %i', (axis) => {
    for (const size of [2, 40]) {
      const dims = [2, 3, size].map((dim, at) => (at === axis ? dim * 2 : dim))
      const whole = tensorOf(type, dims, numbers(12 * size))
      const layout = rowLayout(dims, axis)
      const half = (dims[axis] as number) / 2
      const parts = [0, half].map((at): Tensor => {
        const own = dims.map((dim, index) => (index === axis ? half : dim))
        return { type, dims: own, data: takeRows(type, whole.data, layout, at, half) } as Tensor
      })
      const target = newElements(type, 12 * size)
      joinRows(target, dims, parts, axis)
      expect(target).toEqual(whole.data)
    }
  })

  it('is padded when rows of unequal length are joined, whatever the buffer contained', () => {
    const target = elementsOf(type, numbers(rows.length * paddedTo))
    joinRows(target, [rows.length, paddedTo], rows, 0)
    expect(listOf(target)).toEqual(padded)
  })

  it('is padded with zeros, and cut back', () => {
    for (const [index, row] of rows.entries()) {
      const long = resized(row, 1, paddedTo)
      expect(long.dims).toEqual([1, paddedTo])
      expect(listOf(long.data)).toEqual(filled(type, LENGTHS[index] as number, 1 + 40 * index, paddedTo))
      expect(resized(long, 1, LENGTHS[index] as number)).toEqual(row)
    }
  })

  it('is copied block by block', () => {
    const source = tensorOf(type, [2, 3, 40], numbers(240))
    const target = newElements(type, 4 * 4 * 50)
    copyBlock(target, [4, 4, 50], 0, source.data, source.dims, 0, source.dims)
    for (const [at, element] of listOf(source.data).entries()) {
      const [block, row, column] = [Math.floor(at / 120), Math.floor(at / 40) % 3, at % 40]
      expect(target[block * 200 + row * 50 + column]).toBe(element)
    }
  })

  it('is joined and split by a replica', () => {
    const equal = [1, 41, 81].map((first) => [rowOf(type, 5, first)])
    const joined = join(equal, [0])
    expect(joined[0]?.dims).toEqual([3, 5])
    expect(split(joined, [0], [1, 1, 1])).toEqual(equal)
  })

  it('equals itself, and differs from another', () => {
    const one = tensorOf(type, [3], [1, 2, 3])
    expect(difference(one, copyOf(one), { rtol: 0, atol: 0 })).toBeUndefined()
    expect(difference(one, tensorOf(type, [3], [1, 3, 3]), { rtol: 0, atol: 0 })).toMatch(/^is .* at 1/)
  })

  it('has perturbed rows that differ, with the same type and shape', () => {
    const row = rowOf(type, 5, 1)
    const variants = perturbedSamples([row], [0]).flat()
    expect(variants.length).toBeGreaterThan(0)
    for (const { type: own, dims, data } of variants) {
      expect({ own, dims, name: data.constructor.name }).toEqual({
        own: type,
        dims: row.dims,
        name: row.data.constructor.name,
      })
    }
  })

  it('is sent as a padded batch in a reused buffer, and the outputs return with their own length', () => {
    const buffers = new RecycledBuffers()
    const used = buffers.take(4_096 + paddedTo * rows.length * 8)
    new Uint8Array(used).fill(0xff)
    buffers.give(used)
    const requests = rows.map((row) => ({
      inputs: [row],
      outputs: undefined,
      transfer: false,
      rows: 1,
      length: row.dims[1] as number,
      paddedTo,
    }))
    const task = writePack(
      signature,
      [{ requests: requests as readonly Packed[] as [Packed, ...Packed[]], keep: undefined }],
      PLAN,
      buffers,
      4_096,
    )
    const cursor = { offset: 0 }
    const [batch] = task.runs.flatMap((shape) => readRun(signature, shape, task.buffer, cursor))
    expect(batch?.dims).toEqual([rows.length, paddedTo])
    expect(listOf((batch as Tensor).data)).toEqual(padded)

    // The output is the batch itself.
    const { dims, data } = batch as Tensor
    const answer = { dims: [dims], data: [type === 'string' ? (data as string[]) : 0] }
    const answers = [
      ...new OutputDecoder(signature, new GcBallast(0)).rows(answer, undefined, task.buffer, PLAN, requests),
    ]
    expect(answers.map(({ y }) => y)).toEqual(rows)
  })
})
