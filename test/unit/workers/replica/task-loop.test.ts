import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { decodeError } from '../../../../src/protocol/error-codec.js'
import type { Failure } from '../../../../src/protocol/failure.js'
import type { PortTask, RunTask } from '../../../../src/protocol/replica/replica-task.js'
import { type TaskAnswer, TaskLoop } from '../../../../workers/replica/task-loop.js'
import { fakeSignature, xsOf } from '../../../support/fake-host.js'
import { MemoryTransport } from '../../../support/memory-transport.js'
import { packOf } from '../../../support/packs.js'

/** The time that the loop reads. */
let nowMs = 1_000

const { now } = performance

beforeEach(() => {
  nowMs = 1_000
  performance.now = () => nowMs
})

afterEach(() => {
  performance.now = now
})

function pack(x: number): RunTask {
  return packOf(fakeSignature, [[{ type: 'float32', dims: [1], data: Float32Array.of(x) }]])
}

interface Bench {
  readonly transport: MemoryTransport
  /** The `x` of every pack, in the order of their runs. */
  readonly taken: number[]
}

function bench(answer: (x: number) => TaskAnswer = (x) => ({ reply: x, buffers: [] })): Bench {
  const transport = new MemoryTransport()
  countLooks(transport)
  const taken: number[] = []
  new TaskLoop(transport, async (task: PortTask) => {
    const [x] = xsOf(task as RunTask) as [number]
    taken.push(x)
    return answer(x)
  })
  return { transport, taken }
}

/** Makes every poll take `lookMs`; returns a function that counts the polls. */
function countLooks(transport: MemoryTransport, lookMs = 0.001): () => number {
  let looks = 0
  transport.onLook = () => {
    looks += 1
    nowMs += lookMs
  }
  return () => looks
}

describe('the task loop', () => {
  it('handles one task after another', async () => {
    const { transport, taken } = bench()
    for (const x of [1, 2, 3]) expect(await transport.ask(pack(x))).toBe(x)
    expect(taken).toEqual([1, 2, 3])
  })

  it('transfers the buffers of a reply', async () => {
    const buffer = Float32Array.of(7).buffer
    const { transport } = bench(() => ({ reply: { buffer }, buffers: [buffer] }))
    const reply = (await transport.ask(pack(1))) as { buffer: ArrayBuffer }
    expect(new Float32Array(reply.buffer)).toEqual(Float32Array.of(7))
    expect(buffer.byteLength).toBe(0)
  })

  it('replies with a failure if a reply cannot be sent, and goes on', async () => {
    const { transport } = bench((x) => ({ reply: x === 1 ? () => x : x, buffers: [] }))
    const reply = (await transport.ask(pack(1))) as Failure
    expect(decodeError(reply.error)).toMatchObject({
      code: 'ERR_INFERENCE',
      message: expect.stringContaining('cannot be sent'),
    })
    expect(await transport.ask(pack(2))).toBe(2)
  })

  it('sleeps after a task that came late', async () => {
    const { transport } = bench()
    const looks = countLooks(transport)
    for (const x of [1, 2, 3]) {
      nowMs += 1
      await transport.ask(pack(x))
    }
    expect(looks()).toBe(0)
  })

  it('polls for the next task when the last one came soon, for as long as a wake-up takes', async () => {
    const { transport } = bench()
    const looks = countLooks(transport)
    for (const x of [1, 2]) await transport.ask(pack(x))
    await vi.waitFor(() => expect(looks()).toBeGreaterThan(0))
    // Polling lasts 50 us, and 64 polls take that long.
    expect(looks()).toBe(64)
  })

  it('takes a task that it finds by polling, without a wake-up', async () => {
    const { transport, taken } = bench()
    const found: Promise<unknown>[] = []
    transport.onLook = () => {
      nowMs += 0.001
      if (found.length < 3) found.push(transport.leave(pack(10 + found.length)))
    }
    for (const x of [1, 2]) await transport.ask(pack(x))
    await vi.waitFor(() => expect(taken).toEqual([1, 2, 10, 11, 12]))
    expect(await Promise.all(found)).toEqual([10, 11, 12])
  })

  it('stops polling after four tasks that came late, until one comes soon again', async () => {
    const { transport } = bench()
    let looks = countLooks(transport)
    const looksAfter = async (waitMs: number): Promise<number> => {
      nowMs += waitMs
      await transport.ask(pack(1))
      for (let turns = 0; turns < 10; turns += 1) await Promise.resolve()
      const counted = looks()
      looks = countLooks(transport)
      return counted
    }
    await looksAfter(0)
    expect(await looksAfter(0)).toBeGreaterThan(0)
    const late = [await looksAfter(1), await looksAfter(1), await looksAfter(1), await looksAfter(1)]
    expect(late.map((count) => count > 0)).toEqual([true, true, true, false])
    expect(await looksAfter(1)).toBe(0)
    expect(await looksAfter(0)).toBeGreaterThan(0)
  })
})
