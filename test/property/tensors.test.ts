import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { errors } from '../../src/errors/errors.js'
import { ELEMENT_TYPES } from '../../src/tensors/element-types.js'
import { float16Bits, float16Value } from '../../src/tensors/float16.js'
import { prepareFeeds } from '../../src/tensors/input/prepare-inputs.js'
import { TENSOR_TYPES, type Tensor, type TensorSpec, type TensorType } from '../../src/tensors/tensor.js'

const SUBJECT = { model: 'm', version: '1' }
const type = fc.constantFrom(...TENSOR_TYPES)
const size = fc.integer({ min: 0, max: 4 })
const freeName = fc.constantFrom('', 'batch', 'seq')

function prepare(spec: TensorSpec, value: unknown): Tensor {
  const feeds = prepareFeeds({ inputs: [spec], outputs: [] }, { [spec.name]: value }, SUBJECT)
  return feeds[spec.name] as Tensor
}

function arbitraryOf(of: TensorType): fc.Arbitrary<number | bigint | boolean | string> {
  const { kind, min, max } = ELEMENT_TYPES[of]
  if (kind === 'string') return fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0'))
  if (kind === 'bool') return fc.boolean()
  if (kind === 'bigint') return fc.bigInt({ min: min as bigint, max: max as bigint })
  if (kind === 'integer') return fc.integer({ min: min as number, max: max as number })
  if (of === 'float16') return fc.integer({ min: 0, max: 0x7c00 }).map(float16Value)
  return of === 'float32' ? fc.float() : fc.double()
}

function nest(values: readonly unknown[], dims: readonly number[]): unknown {
  if (dims.length === 0) return values[0]
  const [length = 0, ...rest] = dims
  const step = rest.reduce((product, dim) => product * dim, 1)
  return Array.from({ length }, (_, index) => nest(values.slice(index * step, (index + 1) * step), rest))
}

/** An arbitrary shape with some free dims, and values for it. */
const example = type.chain((of) =>
  fc.array(fc.tuple(size, fc.option(freeName)), { maxLength: 4 }).chain((axes) => {
    const dims = axes.map(([dim]) => dim)
    const count = dims.reduce((product, dim) => product * dim, 1)
    const values = fc.array(arbitraryOf(of), { minLength: count, maxLength: count })
    const spec = { name: 'x', type: of, dims: axes.map(([dim, name]) => name ?? dim) }
    return fc.record({ spec: fc.constant(spec), dims: fc.constant(dims), values })
  }),
)

describe('prepared inputs', () => {
  it('hold the values of nested arrays in row-major order', () => {
    fc.assert(
      fc.property(example, ({ spec, dims, values }) => {
        const tensor = prepare(spec, nest(values, dims))
        expect(tensor.type).toBe(spec.type)
        // Below an empty level the nesting does not determine the free dims.
        const isEmpty = values.length === 0
        if (!isEmpty) expect(tensor.dims).toEqual(dims)
        expect(tensor.dims.reduce((product, dim) => product * dim, 1)).toBe(values.length)
        const expected = values.map((value) => {
          if (spec.type === 'float16') return float16Bits(value as number)
          return spec.type === 'bool' ? Number(value) : value
        })
        expect(Array.from(tensor.data as ArrayLike<unknown>)).toEqual(expected)
      }),
    )
  })

  it('are the same for a tensor that was already prepared', () => {
    fc.assert(
      fc.property(example, ({ spec, dims, values }) => {
        const first = prepare(spec, nest(values, dims))
        const again = prepare(spec, first)
        expect(again).toEqual(first)
        // Strings are copied, because the array of the caller may be a proxy, which cannot be sent.
        if (spec.type === 'string') expect(again.data).toEqual(first.data)
        else expect(again.data).toBe(first.data)
      }),
    )
  })

  it('determine one free dim of a bare array', () => {
    const shape = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(shape, fc.nat(), fc.nat({ max: 5 }), freeName, (dims, position, free, name) => {
        const axis = position % dims.length
        const solved = dims.with(axis, free)
        const data = new Float32Array(solved.reduce((product, dim) => product * dim, 1))
        const tensor = prepare(
          { name: 'x', type: 'float32', dims: (dims as (number | string)[]).with(axis, name) },
          data,
        )
        expect(tensor).toEqual({ type: 'float32', dims: solved, data })
        expect(tensor.data).toBe(data)
      }),
    )
  })

  it('never come from ragged arrays', () => {
    const rows = fc
      .array(fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 4 }), { minLength: 2, maxLength: 5 })
      .filter((all) => all.some((row) => row.length !== all[0]?.length))
    fc.assert(
      fc.property(rows, type, (ragged, of) => {
        expect(() => prepare({ name: 'x', type: of, dims: ['', ''] }, ragged)).toThrow(
          errors.ERR_INVALID_INPUT,
        )
      }),
    )
  })

  it('match their signature for any input that is not refused', () => {
    const anything = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withTypedArray: true,
      withSparseArray: true,
      withNullPrototype: true,
      withObjectString: true,
      withBoxedValues: true,
    })
    const tensorLike = fc.record(
      { type: fc.oneof(type, anything), dims: fc.oneof(fc.array(size), anything), data: anything },
      { requiredKeys: [] },
    )
    const name = fc.constantFrom('x', 'y', '__proto__', 'constructor', 'length')
    const spec = fc.record({ name, type, dims: fc.array(fc.oneof(size, freeName), { maxLength: 3 }) })
    const signature = fc.uniqueArray(spec, { selector: (one) => one.name, maxLength: 3 })
    const input = fc.oneof(anything, fc.dictionary(name, fc.oneof(anything, tensorLike)))
    fc.assert(
      fc.property(
        signature,
        input,
        fc.infiniteStream(fc.oneof(anything, tensorLike)),
        (inputs, loose, values) => {
          const named = Object.fromEntries(inputs.map((one) => [one.name, values.next().value as unknown]))
          for (const candidate of [loose, named]) checkFeeds(inputs, candidate)
        },
      ),
      { numRuns: 2000 },
    )
  })
})

function checkFeeds(inputs: TensorSpec[], input: unknown): void {
  let feeds: Record<string, Tensor>
  try {
    feeds = prepareFeeds({ inputs, outputs: [] }, input, SUBJECT)
  } catch (error) {
    expect(error).toBeInstanceOf(errors.ERR_INVALID_INPUT)
    return
  }
  expect(Object.keys(feeds).sort()).toEqual(inputs.map((one) => one.name).sort())
  for (const { name, type: of, dims } of inputs) {
    const tensor = feeds[name] as Tensor
    expect(tensor.type).toBe(of)
    expect(tensor.data.constructor.name).toBe(ELEMENT_TYPES[of].arrayName)
    expect(tensor.data.length).toBe(tensor.dims.reduce((product, dim) => product * dim, 1))
    if (dims.length > 0) expect(tensor.dims).toHaveLength(dims.length)
    for (const [axis, dim] of dims.entries()) {
      if (typeof dim === 'number') expect(tensor.dims[axis]).toBe(dim)
    }
  }
}
