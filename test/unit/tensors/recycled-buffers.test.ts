import { describe, expect, it } from 'vitest'
import { RecycledBuffers } from '../../../src/tensors/recycled-buffers.js'

describe('recycled buffers', () => {
  it('have the next power of two as their size, at least a kilobyte', () => {
    const buffers = new RecycledBuffers()
    expect([0, 1, 1_024, 1_025, 5_000_000].map((bytes) => buffers.take(bytes).byteLength)).toEqual([
      1_024,
      1_024,
      1_024,
      2_048,
      2 ** 23,
    ])
  })

  it('are reused for the next pack of about the same size', () => {
    const buffers = new RecycledBuffers()
    const buffer = buffers.take(3_000)
    buffers.give(buffer)
    expect(buffers.keptBytes).toBe(4_096)
    expect(buffers.take(2_000)).not.toBe(buffer)
    expect(buffers.take(4_000)).toBe(buffer)
    expect(buffers.keptBytes).toBe(0)
    expect(buffers.take(4_000)).not.toBe(buffer)
  })

  it('are kept up to a limit, and foreign buffers are not kept', () => {
    const buffers = new RecycledBuffers(4_096)
    buffers.give(new ArrayBuffer(3_000))
    expect(buffers.keptBytes).toBe(0)
    buffers.give(new ArrayBuffer(8_192))
    expect(buffers.keptBytes).toBe(0)
    buffers.give(new ArrayBuffer(4_096))
    buffers.give(new ArrayBuffer(1_024))
    expect(buffers.keptBytes).toBe(4_096)
  })

  it('are dropped when the pool ends', () => {
    const buffers = new RecycledBuffers()
    const buffer = buffers.take(1_024)
    buffers.give(buffer)
    buffers.clear()
    expect(buffers.keptBytes).toBe(0)
    expect(buffers.take(1_024)).not.toBe(buffer)
  })
})
