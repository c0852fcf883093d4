import { describe, expect, it } from 'vitest'
import { checkIntact, writePack } from '../../../../src/pools/packs/write-pack.js'
import { buffersOf } from '../../../../src/protocol/replica/pack-layout.js'
import type { RunTask } from '../../../../src/protocol/replica/replica-task.js'
import { byName } from '../../../../src/tensors/by-name.js'
import { RecycledBuffers } from '../../../../src/tensors/recycled-buffers.js'
import type { Feeds, Signature, Tensor, TensorData, TensorType } from '../../../../src/tensors/tensor.js'
import { inputsOf } from '../../../support/packs.js'

function tensor(type: TensorType, data: TensorData, dims: number[] = [data.length]): Tensor {
  return { type, dims, data }
}

interface Packed {
  readonly signature: Signature
  readonly task: RunTask
}

/** Returns a pack of one request. */
function packFeeds(feeds: Feeds, transfer: boolean): Packed {
  const inputs = Object.values(feeds)
  const specs = Object.keys(feeds).map((name, index) => {
    const { type, dims } = inputs[index] as Tensor
    return { name, type, dims }
  })
  const signature: Signature = { inputs: specs, outputs: [] }
  checkIntact(signature, inputs)
  const run = { requests: [{ inputs, outputs: undefined, transfer, rows: 1 }] as const, keep: undefined }
  return { signature, task: writePack(signature, [run], undefined, new RecycledBuffers(), 0) }
}

/** Returns the inputs as a thread receives them; the buffers of the pack are transferred. */
function send({ signature, task }: Packed): Feeds {
  const [inputs = []] = inputsOf(signature, structuredClone(task, { transfer: buffersOf(task) }))
  return byName(
    signature.inputs.map(({ name }) => name),
    inputs,
  )
}

const every: [TensorType, TensorData][] = [
  ['float32', Float32Array.of(1.5, -2, Number.NaN)],
  ['float64', Float64Array.of(1.5, Number.POSITIVE_INFINITY)],
  ['float16', Uint16Array.of(0x3c00, 0xc000, 0x7e00)],
  ['int8', Int8Array.of(-128, 127, 0)],
  ['uint8', Uint8Array.of(255)],
  ['int16', Int16Array.of(-32768, 1, 2)],
  ['uint16', Uint16Array.of(65535)],
  ['int32', Int32Array.of(-1, 2, 3)],
  ['uint32', Uint32Array.of(4294967295)],
  ['int64', BigInt64Array.of(-(2n ** 63n))],
  ['uint64', BigUint64Array.of(2n ** 64n - 1n)],
  ['bool', Uint8Array.of(1, 0, 1)],
  ['string', ['a', '', 'ü']],
]

describe('packed inputs', () => {
  it('carry every dtype in one buffer, whatever its alignment', () => {
    const feeds = Object.fromEntries(every.map(([type, data]) => [type, tensor(type, data)]))
    const packed = packFeeds(feeds, false)
    expect(buffersOf(packed.task)).toHaveLength(1)
    const arrived = send(packed)
    for (const [type, data] of every) {
      expect(arrived[type], type).toEqual(tensor(type, data))
      expect(arrived[type]?.data.constructor, type).toBe(data.constructor)
    }
  })

  it('leave the arrays of the caller unchanged, and share no memory with them', () => {
    const data = Float32Array.of(1, 2)
    const packed = packFeeds({ x: tensor('float32', data) }, false)
    data[0] = 99
    const arrived = send(packed)
    expect(arrived.x?.data).toEqual(Float32Array.of(1, 2))
    expect(data).toEqual(Float32Array.of(99, 2))
  })

  it('copy a view of a larger buffer and nothing around it', () => {
    const whole = Float32Array.of(0, 1, 2, 3)
    const packed = packFeeds({ x: tensor('float32', whole.subarray(1, 3)) }, false)
    expect(send(packed).x?.data).toEqual(Float32Array.of(1, 2))
  })

  it('copy an array that is shared between threads', () => {
    const shared = new Float32Array(new SharedArrayBuffer(8))
    shared.set([1, 2])
    const arrived = send(packFeeds({ x: tensor('float32', shared) }, true))
    expect(arrived.x?.data).toEqual(Float32Array.of(1, 2))
    expect(arrived.x?.data).not.toBe(shared)
  })

  it('turn a Buffer into a plain Uint8Array', () => {
    const arrived = send(packFeeds({ x: tensor('uint8', Buffer.from([1, 2, 3])) }, false))
    expect(arrived.x?.data.constructor).toBe(Uint8Array)
    expect(arrived.x?.data).toEqual(Uint8Array.of(1, 2, 3))
  })

  it('carry scalars and empty tensors', () => {
    const arrived = send(
      packFeeds(
        {
          sr: tensor('int64', BigInt64Array.of(16000n), []),
          none: tensor('float32', new Float32Array(0), [0, 4]),
        },
        false,
      ),
    )
    expect(arrived.sr).toEqual(tensor('int64', BigInt64Array.of(16000n), []))
    expect(arrived.none).toEqual(tensor('float32', new Float32Array(0), [0, 4]))
  })

  it('may be empty', () => {
    expect(send(packFeeds({}, true))).toEqual({})
  })

  it('keep an input that is called __proto__', () => {
    const feeds: Feeds = {}
    Object.defineProperty(feeds, '__proto__', {
      value: tensor('float32', Float32Array.of(7)),
      enumerable: true,
    })
    const arrived = send(packFeeds(feeds, false))
    expect(Object.keys(arrived)).toEqual(['__proto__'])
    expect(Object.getOwnPropertyDescriptor(arrived, '__proto__')?.value.data).toEqual(Float32Array.of(7))
  })

  it('refuse an array whose buffer was transferred meanwhile, and name the input', () => {
    const data = Float32Array.of(1, 2)
    const feeds = { x: tensor('float32', data) }
    structuredClone(data.buffer, { transfer: [data.buffer] })
    for (const mayMove of [false, true]) {
      expect(() => packFeeds(feeds, mayMove)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_INPUT' }))
      expect(() => packFeeds(feeds, mayMove)).toThrow(/"x" .*0 of 2/)
    }
  })

  it('refuse a length-tracking array whose buffer has shrunk', () => {
    const buffer = new ArrayBuffer(8, { maxByteLength: 16 })
    const data = new Float32Array(buffer)
    const feeds = { x: tensor('float32', data, [2]) }
    buffer.resize(4)
    expect(() => packFeeds(feeds, false)).toThrow(/1 of 2/)
  })
})

describe('transferable inputs', () => {
  it('move a view that covers its whole buffer', () => {
    const data = Float32Array.of(1, 2)
    const packed = packFeeds({ x: tensor('float32', data) }, true)
    expect(buffersOf(packed.task)).toContain(data.buffer)
    expect(send(packed).x?.data).toEqual(Float32Array.of(1, 2))
    expect(data).toHaveLength(0)
  })

  it('copy a view of a part, and leave its buffer to the caller', () => {
    const whole = Float32Array.of(0, 1, 2)
    const packed = packFeeds({ x: tensor('float32', whole.subarray(1)) }, true)
    expect(send(packed).x?.data).toEqual(Float32Array.of(1, 2))
    expect(whole).toEqual(Float32Array.of(0, 1, 2))
  })

  it('move a buffer that two inputs share once', () => {
    const data = Float32Array.of(1, 2)
    const packed = packFeeds({ a: tensor('float32', data), b: tensor('float32', data) }, true)
    expect(buffersOf(packed.task)).toHaveLength(2)
    const arrived = send(packed)
    expect(arrived.a?.data).toEqual(Float32Array.of(1, 2))
    expect(arrived.b?.data).toEqual(Float32Array.of(1, 2))
  })

  it.each(['part first', 'whole first'])('keep a part of a buffer that another input moves, %s', (order) => {
    const whole = Float32Array.of(1, 2, 3, 4)
    const feeds: Feeds =
      order === 'part first'
        ? { part: tensor('float32', whole.subarray(2)), whole: tensor('float32', whole) }
        : { whole: tensor('float32', whole), part: tensor('float32', whole.subarray(2)) }
    const arrived = send(packFeeds(feeds, true))
    expect(arrived.part?.data).toEqual(Float32Array.of(3, 4))
    expect(arrived.whole?.data).toEqual(Float32Array.of(1, 2, 3, 4))
  })

  it('move what can be moved and copy the rest', () => {
    const moved = Float32Array.of(1)
    const copied = Float32Array.of(9, 2).subarray(1)
    const arrived = send(
      packFeeds({ moved: tensor('float32', moved), copied: tensor('float32', copied) }, true),
    )
    expect(arrived.moved?.data).toEqual(Float32Array.of(1))
    expect(arrived.copied?.data).toEqual(Float32Array.of(2))
    expect(moved).toHaveLength(0)
    expect(copied).toHaveLength(1)
  })
})

describe('a batch of requests of unequal length', () => {
  const signature: Signature = {
    inputs: [
      { name: 'ids', type: 'int32', dims: ['batch', 'length'] },
      { name: 'words', type: 'string', dims: ['batch', 'length'] },
    ],
    outputs: [],
  }
  const plan = { inputs: [0, 0], outputs: [], padding: { inputs: [1, 1], outputs: [] } }
  const request = (ids: number[], words: string[]) => ({
    inputs: [
      tensor('int32', Int32Array.from(ids), [1, ids.length]),
      tensor('string', words, [1, words.length]),
    ],
    outputs: undefined,
    transfer: false,
    rows: 1,
    paddedTo: 4,
  })

  it('is padded with zeros or empty strings, whatever the buffer contained', () => {
    const buffers = new RecycledBuffers()
    const used = buffers.take(64)
    new Uint8Array(used).fill(255)
    buffers.give(used)
    const requests = [request([1, 2], ['a', 'b']), request([3, 4, 5, 6], ['c', 'd', 'e', 'f'])] as const
    const task = writePack(signature, [{ requests, keep: undefined }], plan, buffers, 0)
    expect(task.buffer).toBe(used)
    const [[ids, words] = []] = inputsOf(signature, structuredClone(task, { transfer: buffersOf(task) }))
    expect(ids).toEqual(tensor('int32', Int32Array.of(1, 2, 0, 0, 3, 4, 5, 6), [2, 4]))
    expect(words).toEqual(tensor('string', ['a', 'b', '', '', 'c', 'd', 'e', 'f'], [2, 4]))
  })
})
