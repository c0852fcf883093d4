import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { putRows, rowLayout, takeRows, withRows } from '../../../../src/tensors/batch/rows.js'
import type { TensorData } from '../../../../src/tensors/tensor.js'

const count = (dims: readonly number[]): number => dims.reduce((product, dim) => product * dim, 1)

/** Returns the element of a tensor at an index on each axis, computed without optimisation. */
function at(data: ArrayLike<unknown>, dims: readonly number[], index: readonly number[]): unknown {
  return data[index.reduce((offset, each, axis) => offset * (dims[axis] as number) + each, 0)]
}

function* indices(dims: readonly number[]): Generator<number[]> {
  const total = count(dims)
  for (let flat = 0; flat < total; flat += 1) {
    let rest = flat
    yield dims.map((dim, axis) => {
      const size = count(dims.slice(axis + 1))
      const index = Math.floor(rest / size) % dim
      rest %= size
      return index
    })
  }
}

const shapes = fc.record({
  dims: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
  axis: fc.nat(3),
  rows: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 5 }),
  factor: fc.constantFrom(1, 40),
})

describe('rows along an axis', () => {
  it.each([
    ['numbers', (values: number[]): TensorData => Float32Array.from(values)],
    ['bigints', (values: number[]): TensorData => BigInt64Array.from(values.map(BigInt))],
    ['strings', (values: number[]): TensorData => values.map(String)],
  ] as const)('are copied in and out unchanged, %s', (_, make) => {
    fc.assert(
      fc.property(shapes, ({ dims: some, axis: pick, rows, factor }) => {
        // Long rows are copied in another way than short ones.
        const dims = some.map((dim, index) => (index === some.length - 1 ? dim * factor : dim))
        const axis = pick % dims.length
        const total = rows.reduce((sum, own) => sum + own, 0)
        const whole = withRows(dims, axis, total)
        const batch = make(new Array(count(whole)).fill(0))
        let value = 0
        let row = 0
        const parts = rows.map((own) => {
          const shape = withRows(dims, axis, own)
          const data = make(Array.from({ length: count(shape) }, () => value++))
          putRows(batch, total, row, data, rowLayout(shape, axis))
          row += own
          return { shape, data }
        })
        let first = 0
        for (const { shape, data } of parts) {
          for (const index of indices(shape)) {
            const inBatch = index.map((each, of) => (of === axis ? each + first : each))
            expect(at(batch, whole, inBatch)).toBe(at(data, shape, index))
          }
          const own = shape[axis] as number
          const type = Array.isArray(data) ? 'string' : data instanceof Float32Array ? 'float32' : 'int64'
          const taken = takeRows(type, batch, rowLayout(whole, axis), first, own)
          expect(taken).toEqual(data)
          if (ArrayBuffer.isView(taken)) expect(taken.buffer).not.toBe((batch as Float32Array).buffer)
          first += own
        }
      }),
      { numRuns: 150 },
    )
  })

  it('are counted in a copy of the dims', () => {
    const dims = [2, 3]
    expect(withRows(dims, 1, 9)).toEqual([2, 9])
    expect(dims).toEqual([2, 3])
  })
})
