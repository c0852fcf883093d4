import { describe, expect, it } from 'vitest'
import type { TensorType } from '../../../../src/tensors/tensor.js'
import { prepare, refusalOf, spec } from '../../../support/signatures.js'

describe('a single value', () => {
  it.each([
    ['float32', 0.1, Float32Array.of(0.1)],
    ['float64', 0.1, Float64Array.of(0.1)],
    ['float16', 1.5, Uint16Array.of(0x3e00)],
    ['int8', -128, Int8Array.of(-128)],
    ['uint8', 255, Uint8Array.of(255)],
    ['int16', -32768, Int16Array.of(-32768)],
    ['uint16', 65535, Uint16Array.of(65535)],
    ['int32', -(2 ** 31), Int32Array.of(-(2 ** 31))],
    ['uint32', 2 ** 32 - 1, Uint32Array.of(2 ** 32 - 1)],
    ['int64', -(2n ** 63n), BigInt64Array.of(-(2n ** 63n))],
    ['int64', 16000, BigInt64Array.of(16000n)],
    ['uint64', 2n ** 64n - 1n, BigUint64Array.of(2n ** 64n - 1n)],
    ['uint64', Number.MAX_SAFE_INTEGER, BigUint64Array.of(2n ** 53n - 1n)],
    ['bool', true, Uint8Array.of(1)],
    ['bool', 0, Uint8Array.of(0)],
    ['string', 'grüße', ['grüße']],
  ] as [TensorType, unknown, unknown][])('becomes a %s scalar from %s', (type, value, data) => {
    expect(prepare(spec('x', type), value)).toEqual({ type, dims: [], data })
    expect(prepare(spec('x', type, 1, 'n', ''), value)).toEqual({ type, dims: [1, 1, 1], data })
  })

  it('is refused where it cannot be the only element', () => {
    expect(refusalOf(spec('x', 'float32', 'n', 2), 1)).toBe(
      'input "x" expects float32[n, 2], got number 1; one value does not fill it',
    )
  })

  it.each([
    ['int8', 128, 'integers from -128 to 127'],
    ['int8', -129, 'integers from -128 to 127'],
    ['uint8', -1, 'integers from 0 to 255'],
    ['uint8', 256, 'integers from 0 to 255'],
    ['int16', 32768, 'integers from -32768 to 32767'],
    ['uint16', 65536, 'integers from 0 to 65535'],
    ['int32', 2 ** 31, 'integers from -2147483648 to 2147483647'],
    ['uint32', 2 ** 32, 'integers from 0 to 4294967295'],
    ['int32', 1.5, 'integers from'],
    ['int32', Number.NaN, 'integers from'],
    ['int32', Number.POSITIVE_INFINITY, 'integers from'],
    ['int32', 1n, 'integers from'],
    ['int32', true, 'integers from'],
    ['int64', 2 ** 53, 'safe integers from -9223372036854775808 to 9223372036854775807'],
    ['int64', 0.5, 'safe integers'],
    ['int64', 2n ** 63n, 'safe integers'],
    ['int64', '5', 'safe integers'],
    ['uint64', -1, 'safe integers from 0 to 18446744073709551615'],
    ['uint64', 2n ** 64n, 'safe integers'],
    ['float32', 1n, 'Number(...)'],
    ['float64', '1', 'numbers are expected'],
    ['float16', true, 'numbers are expected'],
    ['bool', 2, 'true, false, 1 or 0'],
    ['bool', 'true', 'true, false, 1 or 0'],
    ['string', 1, 'strings are expected'],
    ['string', 'a\0b', 'ONNX Runtime would cut the string'],
  ] as [TensorType, unknown, string][])('of type %s is refused when it is %s', (type, value, advice) => {
    const message = refusalOf(spec('x', type), value)
    expect(message).toContain(`input "x" expects ${type} scalar, got ${typeof value}`)
    expect(message).toContain(advice)
  })

  it('may be any float, which is rounded to the type', () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 1e300, -0]) {
      expect(prepare(spec('x', 'float32'), value).data).toEqual(Float32Array.of(value))
      expect(prepare(spec('x', 'float64'), value).data).toEqual(Float64Array.of(value))
    }
    expect(prepare(spec('x', 'float16'), 1e300).data).toEqual(Uint16Array.of(0x7c00))
  })
})

describe('nested arrays', () => {
  it('define their own shape', () => {
    expect(
      prepare(spec('x', 'float32', '', 2, ''), [
        [[1], [2]],
        [[3], [4]],
        [[5], [6]],
      ]),
    ).toEqual({
      type: 'float32',
      dims: [3, 2, 1],
      data: Float32Array.of(1, 2, 3, 4, 5, 6),
    })
    expect(prepare(spec('x', 'string', '', ''), [['a', 'b']]).data).toEqual(['a', 'b'])
    expect(prepare(spec('x', 'bool', ''), [true, 0, 1]).data).toEqual(Uint8Array.of(1, 0, 1))
    expect(prepare(spec('x', 'int64', ''), [1, 2n]).data).toEqual(BigInt64Array.of(1n, 2n))
    expect(prepare(spec('x', 'float16', ''), [1, -2]).data).toEqual(Uint16Array.of(0x3c00, 0xc000))
  })

  it('may end in typed arrays as rows', () => {
    const rows = [Float32Array.of(1, 2), [3, 4], Float32Array.of(5, 6)]
    expect(prepare(spec('x', 'float32', '', ''), rows)).toEqual({
      type: 'float32',
      dims: [3, 2],
      data: Float32Array.of(1, 2, 3, 4, 5, 6),
    })
    const message = refusalOf(spec('x', 'float32', '', ''), [Float32Array.of(1, 2), Float64Array.of(3, 4)])
    expect(message).toContain('got Float64Array(2) at [1]; it must be Float32Array; convert it')
  })

  it('may be empty at any level', () => {
    const dimsOf = (value: unknown, ...dims: (number | string)[]) =>
      prepare(spec('x', 'int8', ...dims), value).dims
    expect(dimsOf([], '')).toEqual([0])
    expect(dimsOf([], 'n', 3)).toEqual([0, 3])
    expect(dimsOf([[], []], '', '')).toEqual([2, 0])
    expect(dimsOf([[]], 'n', '', 3)).toEqual([1, 0, 3])
    expect(refusalOf(spec('x', 'int8', 1, ''), [])).toContain('got nested arrays of [0, 0]')
  })

  it('must be as deep as the rank', () => {
    expect(refusalOf(spec('x', 'float32', '', ''), [1, 2])).toContain(
      'input "x" expects float32[?, ?], got arrays nested 1 deep instead of 2; flat data',
    )
    expect(refusalOf(spec('x', 'float32', ''), [[1]])).toContain(
      'got arrays nested more than 1 deep instead of 1',
    )
    expect(refusalOf(spec('x', 'float32'), [1])).toContain(
      'expects float32 scalar, got an array; one value is expected, not in an array',
    )
    const endless: unknown[] = []
    endless.push(endless)
    expect(refusalOf(spec('x', 'float32', '', ''), endless)).toContain('more than 2 deep')
  })

  it('must have the fixed dims', () => {
    expect(refusalOf(spec('x', 'float32', 'n', 3), [[1, 2]])).toBe(
      'input "x" expects float32[n, 3], got nested arrays of [1, 2]',
    )
  })

  it('must be regular', () => {
    const x = spec('x', 'float32', '', '', '')
    const irregular = (value: unknown) => refusalOf(x, value)
    expect(irregular([[[1, 2]], [[1]]])).toBe(
      'input "x" expects float32[?, ?, ?], got 1 elements at [1][0]; nested arrays must be regular, 2 elements are expected there',
    )
    expect(irregular([[[1]], []])).toContain('0 elements at [1]')
    expect(irregular([[[1]], 5])).toContain('number 5 at [1]')
    expect(irregular([[[1, 2]], [Float32Array.of(1)]])).toContain('1 elements at [1][0]')
  })

  it('name the path of a value that does not fit', () => {
    expect(
      refusalOf(spec('x', 'uint8', '', ''), [
        [1, 2],
        [3, 256],
      ]),
    ).toBe('input "x" expects uint8[?, ?], got number 256 at [1][1]; integers from 0 to 255 are expected')
    expect(refusalOf(spec('x', 'float32', ''), [1, [2]])).toContain('got array of 1 at [1]')
    expect(refusalOf(spec('x', 'float32', ''), new Array(2))).toContain('got undefined at [0]')
    expect(refusalOf(spec('x', 'string', ''), ['a', 'b\0'])).toContain('NUL character at [1]')
  })

  it('are refused when they are far too large', () => {
    const row = new Array(1e6).fill(0)
    // A thousand references to one row of a million rows: 10^15 elements from 16 MB of arrays.
    const wide = new Array(1e6).fill(row)
    expect(refusalOf(spec('x', 'float64', '', '', ''), new Array(1e3).fill(wide))).toContain(
      'input "x" expects float64[?, ?, ?], got a value that cannot be read',
    )
  })
})
