import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { prepareFeeds } from '../../../../src/tensors/input/prepare-inputs.js'
import type { TensorType } from '../../../../src/tensors/tensor.js'
import { prepare, refusalOf, SILERO, SUBJECT, signatureOf, spec } from '../../../support/signatures.js'

const ARRAYS: [TensorType, ArrayLike<unknown>][] = [
  ['float32', new Float32Array(6)],
  ['float64', new Float64Array(6)],
  ['float16', new Uint16Array(6)],
  ['int8', new Int8Array(6)],
  ['uint8', new Uint8Array(6)],
  ['int16', new Int16Array(6)],
  ['uint16', new Uint16Array(6)],
  ['int32', new Int32Array(6)],
  ['uint32', new Uint32Array(6)],
  ['int64', new BigInt64Array(6)],
  ['uint64', new BigUint64Array(6)],
  ['bool', new Uint8Array(6)],
]

describe('a bare typed array', () => {
  it.each(ARRAYS)('of the class that holds %s is used as it is', (type, array) => {
    const tensor = prepare(spec('x', type, 2, ''), array)
    expect(tensor).toEqual({ type, dims: [2, 3], data: array })
    expect(tensor.data).toBe(array)
  })

  it.each(ARRAYS)('of another class than the one that holds %s is refused', (type, array) => {
    const other = array instanceof Float32Array ? new Float64Array(6) : new Float32Array(6)
    const message = refusalOf(spec('x', type, 2, ''), other)
    expect(message).toContain(`input "x" expects ${type}[2, ?], got ${other.constructor.name}(6)`)
    if (type !== 'float16') expect(message).toContain(`convert it, e.g. ${array.constructor.name}.from(`)
  })

  it('whose elements are bigints is refused with the conversion that works', () => {
    expect(refusalOf(spec('x', 'int64', ''), new Int32Array(1))).toContain('BigInt64Array.from(..., BigInt)')
    expect(refusalOf(spec('x', 'float32', ''), new BigInt64Array(1))).toContain(
      'Float32Array.from(..., Number)',
    )
    expect(refusalOf(spec('x', 'string', ''), new Uint8Array(1))).toContain('an array of strings')
    expect(refusalOf(spec('x', 'float16', ''), new Float32Array(1))).toContain('Uint16Array of float16 bits')
  })

  it('takes the fixed dims and must fill them exactly', () => {
    expect(prepare(spec('x', 'float32', 2, 3), new Float32Array(6)).dims).toEqual([2, 3])
    expect(refusalOf(spec('x', 'float32', 2, 3), new Float32Array(5))).toBe(
      'input "x" expects float32[2, 3], got Float32Array(5); 6 elements are needed',
    )
  })

  it('solves one free dim from its length, which must divide', () => {
    expect(prepare(spec('x', 'float32', 2, 'n', 3), new Float32Array(24)).dims).toEqual([2, 4, 3])
    expect(prepare(spec('x', 'float32', 2, 'n', 3), new Float32Array(0)).dims).toEqual([2, 0, 3])
    expect(refusalOf(spec('x', 'float32', 2, 'n', 3), new Float32Array(25))).toBe(
      'input "x" expects float32[2, n, 3], got Float32Array(25); a multiple of 6 elements are needed',
    )
  })

  it('is one unbatched item when several dims are free', () => {
    const input = new Float32Array(576)
    const state = new Float32Array(256)
    const feeds = prepareFeeds(SILERO, { input, state, sr: 16000n }, SUBJECT)
    expect(feeds).toEqual({
      input: { type: 'float32', dims: [1, 576], data: input },
      state: { type: 'float32', dims: [2, 1, 128], data: state },
      sr: { type: 'int64', dims: [], data: BigInt64Array.of(16000n) },
    })
    expect(feeds.input?.data).toBe(input)
    expect(prepare(spec('x', 'float32', '', 6, ''), new Float32Array(6)).dims).toEqual([1, 6, 1])
    expect(prepare(spec('past', 'float32', 'batch', 2, 'length', 4), new Float32Array(0)).dims).toEqual([
      1, 2, 0, 4,
    ])
  })

  it.each([
    [['batch', 3, 'h', 'w'], 12, 'axes 2 and 3'],
    [['', 3, '', ''], 12, 'axes 2 and 3'],
    [[1, 3, 'h', 'w'], 12, 'axes 2 and 3'],
    [['', '', '', 4], 16, 'axes 1 and 2'],
    [['', '', '', ''], 5, 'axes 1, 2 and 3'],
    [['batch', 2, 'length', 'width'], 0, 'axes 2 and 3'],
  ])('is refused where it fits several shapes: %j of %d elements', (dims, count, axes) => {
    const message = refusalOf(spec('x', 'float32', ...dims), new Float32Array(count))
    expect(message).toContain(
      `got Float32Array(${count}); the sizes of ${axes} do not follow from the length`,
    )
    expect(message).toContain('pass { type, dims, data }')
  })

  it('of as many elements as the fixed dims has one shape only', () => {
    expect(prepare(spec('x', 'float32', 'batch', 3, 'h', 'w'), new Float32Array(3)).dims).toEqual([
      1, 3, 1, 1,
    ])
  })

  it('of one element is a scalar where the signature has no dims', () => {
    expect(prepare(spec('x', 'float32'), Float32Array.of(7)).dims).toEqual([])
    expect(refusalOf(spec('x', 'float32'), new Float32Array(2))).toContain('expects float32 scalar')
  })

  it('may be empty where a fixed dim is 0', () => {
    expect(prepare(spec('x', 'float32', 0, ''), new Float32Array(0)).dims).toEqual([0, 1])
    expect(refusalOf(spec('x', 'float32', 0, ''), new Float32Array(3))).toContain('float32[0, ?]')
  })

  it('of a class with the same elements is viewed, not copied', () => {
    const clamped = Uint8ClampedArray.of(1, 2, 3)
    const viewed = prepare(spec('x', 'uint8', ''), clamped.subarray(1)).data as Uint8Array
    expect(viewed).toEqual(Uint8Array.of(2, 3))
    expect(viewed.buffer).toBe(clamped.buffer)
    expect(refusalOf(spec('x', 'bool', ''), clamped)).toContain('got Uint8ClampedArray(3)')
    const buffer = Buffer.from([1, 0])
    expect(prepare(spec('x', 'uint8', ''), buffer).data).toBe(buffer)
    expect(prepare(spec('x', 'bool', ''), buffer).data).toBe(buffer)
  })

  it('backed by shared memory or made in another realm is accepted', () => {
    const shared = new Float32Array(new SharedArrayBuffer(16))
    expect(prepare(spec('x', 'float32', ''), shared).data).toBe(shared)
    const foreign = runInNewContext('new Float32Array(4)')
    expect(prepare(spec('x', 'float32', ''), foreign).data).toBe(foreign)
  })

  it('is refused when its buffer was transferred', () => {
    const array = new Float32Array(4)
    structuredClone(array.buffer, { transfer: [array.buffer] })
    for (const value of [array, { type: 'float32', dims: [1, 0], data: array }, [array]]) {
      const message = refusalOf(spec('x', 'float32', '', ''), value)
      expect(message).toContain('input "x" expects float32[?, ?], got Float32Array without its buffer')
      expect(message).toContain('transferred')
    }
    const clamped = new Uint8ClampedArray(4)
    structuredClone(clamped.buffer, { transfer: [clamped.buffer] })
    expect(refusalOf(spec('x', 'uint8', ''), clamped)).toContain('transferred')
  })

  it('is refused when its buffer became too small for it', () => {
    const buffer = new (ArrayBuffer as unknown as new (size: number, options: object) => ArrayBuffer)(16, {
      maxByteLength: 16,
    }) as ArrayBuffer & { resize(size: number): void }
    const array = new Float32Array(buffer, 4, 2)
    buffer.resize(8)
    expect(refusalOf(spec('x', 'float32', ''), array)).toContain('made smaller')
  })

  it('that is a DataView or a bare buffer is refused', () => {
    expect(refusalOf(spec('x', 'float32', ''), new DataView(new ArrayBuffer(4)))).toContain('got DataView')
    expect(refusalOf(spec('x', 'float32', ''), new ArrayBuffer(4))).toContain('new Float32Array(buffer)')
  })

  it('of native float16 numbers is viewed as its bits', ({ skip }) => {
    const native = (globalThis as { Float16Array?: { of(...values: number[]): ArrayLike<number> } })
      .Float16Array
    if (native === undefined) return skip('this Node has no Float16Array')
    const values = native.of(1, -2)
    const bits = Uint16Array.of(0x3c00, 0xc000)
    const dims = [1, 2]
    for (const value of [values, { type: 'float16', dims, data: values }]) {
      const { data } = prepare(spec('x', 'float16', '', ''), value)
      expect(data).toEqual(bits)
      expect((data as Uint16Array).buffer).toBe((values as unknown as Uint16Array).buffer)
    }
    expect(prepare(spec('x', 'float16', '', ''), [values]).data).toEqual(bits)
    expect(refusalOf(spec('x', 'uint16', ''), values)).toContain('got Float16Array(2)')
  })
})

describe('several bare arrays whose free dims share names', () => {
  const tokens = signatureOf(
    spec('mask', 'int64', 'batch', 'seq'),
    spec('ids', 'int64', 'batch', 'seq'),
    spec('types', 'int64', 'batch', 'seq'),
  )
  const bare = () => new BigInt64Array(16)

  it('are one item each when none carries a shape', () => {
    const feeds = prepareFeeds(tokens, { mask: bare(), ids: bare(), types: bare() }, SUBJECT)
    for (const name of ['mask', 'ids', 'types']) expect(feeds[name]?.dims).toEqual([1, 16])
  })

  it('take the sizes of the one that does, wherever it stands', () => {
    const ids = { type: 'int64', dims: [2, 8], data: bare() }
    const feeds = prepareFeeds(tokens, { ids, types: bare(), mask: bare() }, SUBJECT)
    for (const name of ['mask', 'ids', 'types']) expect(feeds[name]?.dims).toEqual([2, 8])
    expect(Object.keys(feeds)).toEqual(['mask', 'ids', 'types'])
  })

  it('keep their own shape when the sizes of the other do not fit', () => {
    const ids = { type: 'int64', dims: [3, 5], data: new BigInt64Array(15) }
    const feeds = prepareFeeds(tokens, { ids, types: bare(), mask: bare() }, SUBJECT)
    expect(feeds.mask?.dims).toEqual([1, 16])
    expect(feeds.ids?.dims).toEqual([3, 5])
  })

  it('solve what is left once some sizes are known', () => {
    const signature = signatureOf(
      spec('x', 'float32', 'batch', 4, 'time', ''),
      spec('lengths', 'int32', 'batch'),
      spec('y', 'float32', 'time', 'other'),
    )
    const input = { x: new Float32Array(2 * 4 * 5), lengths: new Int32Array(2), y: [[1], [2], [3], [4], [5]] }
    expect(prepareFeeds(signature, input, SUBJECT).x?.dims).toEqual([2, 4, 5, 1])
  })

  it('are refused where the sizes of the others leave several shapes', () => {
    const image = (name: string) => spec(name, 'float32', 'batch', 'h', 'w')
    const signature = signatureOf(image('x'), image('y'), spec('lengths', 'int32', 'batch'))
    const lengths = new Int32Array(2)
    const refusal = (y: unknown): string => {
      try {
        prepareFeeds(signature, { x: new Float32Array(24), y, lengths }, SUBJECT)
      } catch (error) {
        return (error as Error).message
      }
      return 'accepted'
    }
    expect(refusal(new Float32Array(24))).toContain('axes 1 and 2 do not follow')
    // The sizes of the other do not divide the length.
    expect(refusal({ type: 'float32', dims: [2, 5, 5], data: new Float32Array(50) })).toContain(
      'axes 1 and 2 do not follow',
    )
    expect(refusal({ type: 'float32', dims: [2, 4, 3], data: new Float32Array(24) })).toBe('accepted')
  })

  it('do not take anonymous dims for the same', () => {
    const signature = signatureOf(spec('x', 'float32', '', ''), spec('y', 'float32', '', ''))
    const y = { type: 'float32', dims: [2, 3], data: new Float32Array(6) }
    expect(prepareFeeds(signature, { x: new Float32Array(6), y }, SUBJECT).x?.dims).toEqual([1, 6])
  })
})
