import { Tensor as OrtTensor } from 'onnxruntime-common'
import { describe, expect, it } from 'vitest'
import { prepare, refusalOf, spec } from '../../../support/signatures.js'

const X = spec('x', 'float32', 'batch', 3)

describe('a tensor with explicit dims', () => {
  it('keeps its dims and its data', () => {
    const data = new Float32Array(6)
    const dims = [2, 3]
    const tensor = prepare(X, { type: 'float32', dims, data })
    expect(tensor).toEqual({ type: 'float32', dims: [2, 3], data })
    expect(tensor.data).toBe(data)
    dims[0] = 9
    expect(tensor.dims).toEqual([2, 3])
  })

  it('may have dims of 0 where they are free', () => {
    const data = new Float32Array(0)
    expect(prepare(X, { type: 'float32', dims: [0, 3], data }).dims).toEqual([0, 3])
  })

  it('may be a tensor of onnxruntime', () => {
    const data = new Float32Array(3)
    expect(prepare(X, new OrtTensor('float32', data, [1, 3]))).toEqual({
      type: 'float32',
      dims: [1, 3],
      data,
    })
    const words = new OrtTensor('string', ['a', 'b'], [2])
    expect(prepare(spec('x', 'string', ''), words).data).toEqual(['a', 'b'])
    const flags = new OrtTensor('bool', [true, false], [2])
    expect(prepare(spec('x', 'bool', ''), flags).data).toEqual(Uint8Array.of(1, 0))
  })

  it('is refused when its data is not on the CPU', () => {
    const onGpu = {
      type: 'float32',
      dims: [1, 3],
      location: 'gpu-buffer',
      get data() {
        throw new Error('read')
      },
    }
    expect(refusalOf(X, onGpu)).toBe(
      'input "x" expects float32[batch, 3], got a tensor located at string "gpu-buffer"; its data must be on the CPU',
    )
  })

  it('is refused when its data was disposed', () => {
    const disposed = new OrtTensor('float32', new Float32Array(3), [1, 3])
    disposed.dispose()
    expect(refusalOf(X, disposed)).toContain('input "x" expects float32[batch, 3], got')
  })

  it('must have the type of the input', () => {
    expect(refusalOf(X, { type: 'float64', dims: [1, 3], data: new Float64Array(3) })).toBe(
      'input "x" expects float32[batch, 3], got tensor float64[1, 3]',
    )
    expect(refusalOf(X, { type: 7, dims: [1, 3], data: new Float64Array(3) })).toContain('got type number 7')
  })

  it('must have the rank and the fixed dims of the input', () => {
    const data = new Float32Array(4)
    for (const dims of [[4], [1, 4], [1, 1, 4], []]) {
      expect(refusalOf(X, { type: 'float32', dims, data })).toBe(
        `input "x" expects float32[batch, 3], got tensor float32[${dims.join(', ')}]`,
      )
    }
  })

  it('may have any shape if the signature declares none, which looks like a scalar', () => {
    const data = new BigInt64Array(2)
    expect(prepare(spec('x', 'int64'), { type: 'int64', dims: [2, 1], data }).dims).toEqual([2, 1])
  })

  it('must have as many elements as its dims say', () => {
    expect(refusalOf(X, { type: 'float32', dims: [2, 3], data: new Float32Array(5) })).toBe(
      'input "x" expects float32[batch, 3], got dims [2, 3] (6 elements) with 5 elements of data',
    )
    expect(refusalOf(spec('x', 'string', ''), { type: 'string', dims: [2], data: ['a'] })).toContain(
      'dims [2] (2 elements) with 1 elements',
    )
  })

  it('must hold its data in the class of its type', () => {
    expect(refusalOf(X, { type: 'float32', dims: [1, 3], data: new Float64Array(3) })).toContain(
      'got Float64Array(3); it must be Float32Array',
    )
    expect(refusalOf(X, { type: 'float32', dims: [1, 3], data: [1, 2, 3] })).toContain(
      'got data that is array of 3; it must be Float32Array',
    )
    expect(refusalOf(X, { type: 'float32', dims: [1, 3] })).toContain('got data that is undefined')
    expect(refusalOf(spec('x', 'string', ''), { type: 'string', dims: [1], data: 'a' })).toContain(
      'got data that is string "a"; it must be an array of strings',
    )
  })

  it('of type string must contain only strings, without NUL', () => {
    const tensor = (...data: unknown[]) => ({ type: 'string', dims: [data.length], data })
    expect(prepare(spec('x', 'string', ''), tensor('a', '')).data).toEqual(['a', ''])
    expect(refusalOf(spec('x', 'string', ''), tensor('a', 1))).toContain('got number 1 at data[1]')
    expect(refusalOf(spec('x', 'string', ''), tensor('a', 'b\0c'))).toContain('NUL character at data[1]')
  })
})

describe('an object that is not a tensor', () => {
  it.each([
    [{}, 'object without keys'],
    [{ dims: [1, 3], data: 1 }, 'object with keys "dims", "data"'],
    [{ type: 'float32', data: 1 }, 'object with keys "type", "data"'],
    [Promise.resolve(), 'Promise (is an await missing?)'],
    [new Map(), 'Map'],
    [new Date(0), 'Date'],
    [null, 'null'],
    [undefined, 'undefined'],
    [() => {}, 'a function'],
    [Symbol('s'), 'a symbol'],
  ])('is refused: %o', (value, got) => {
    expect(refusalOf(X, value)).toContain(`input "x" expects float32[batch, 3], got ${got}`)
  })
})
