import { describe, expect, it } from 'vitest'
import {
  CELL_COUNT,
  INSIDE_NATIVE,
  OUTSIDE_NATIVE,
  RUN,
  STATE,
} from '../../../../src/protocol/guard/guard-cells.js'
import { createTurns, Turn } from '../../../../src/protocol/guard/turn.js'
import { NativeLane } from '../../../../workers/replica/native-lane.js'

interface Guarded {
  readonly lane: NativeLane
  readonly cells: Int32Array
}

function guarded(seat?: Turn['seat']): Guarded {
  const memory = new SharedArrayBuffer(CELL_COUNT * Int32Array.BYTES_PER_ELEMENT)
  return { lane: new NativeLane(memory, seat), cells: new Int32Array(memory) }
}

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => undefined
  const promise = new Promise<void>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}

describe('the lane of native calls', () => {
  it('marks the replica as inside native code exactly while a call runs', async () => {
    const { lane, cells } = guarded()
    const state = (): number => Atomics.load(cells, STATE)
    const inside = deferred()
    const seen: number[] = []
    const call = lane.run(async () => {
      seen.push(state())
      await inside.promise
      seen.push(state())
      return 'done'
    })
    expect(state()).toBe(OUTSIDE_NATIVE)
    await Promise.resolve()
    inside.resolve()
    expect(await call).toBe('done')
    expect(seen).toEqual([INSIDE_NATIVE, INSIDE_NATIVE])
    expect(state()).toBe(OUTSIDE_NATIVE)
  })

  it('runs one call at a time, in order, even after a failure', async () => {
    const { lane, cells } = guarded()
    const order: string[] = []
    let running = 0
    const call = (name: string, fails = false) =>
      lane.run(async () => {
        running += 1
        order.push(`${name} of ${running}`)
        await new Promise((resolve) => setImmediate(resolve))
        running -= 1
        if (fails) throw new Error(name)
        return name
      })
    const calls = [call('a'), call('b', true), call('c')]
    const outcomes = await Promise.allSettled(calls)
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(order).toEqual(['a of 1', 'b of 1', 'c of 1'])
    expect(Atomics.load(cells, STATE)).toBe(OUTSIDE_NATIVE)
  })

  it('reports which run of a pack begins', () => {
    const { lane, cells } = guarded()
    lane.begin(3)
    expect(Atomics.load(cells, RUN)).toBe(3)
  })

  it('waits outside for its turn, if its calls take turns', async () => {
    const memory = createTurns()
    const [own, other] = [Turn.claim(memory) as Turn, Turn.claim(memory) as Turn]
    other.request()
    expect(other.tryTake()).toBe('taken')
    const { lane, cells } = guarded(own.seat)
    let isDone = false
    const call = lane.run(() => {
      isDone = true
    })
    await new Promise((resolve) => setImmediate(resolve))
    expect(own.isWaiting).toBe(true)
    expect([isDone, Atomics.load(cells, STATE)]).toEqual([false, OUTSIDE_NATIVE])
    other.pass()
    await call
    expect(isDone).toBe(true)
    // The other thread has passed the turn on.
    other.request()
    expect(other.tryTake()).toBe('taken')
  })

  it('fails a call that would wait for a turn that may never end', async () => {
    const memory = createTurns()
    const [own, other] = [Turn.claim(memory) as Turn, Turn.claim(memory) as Turn]
    other.request()
    other.tryTake()
    other.holdUp()
    const { lane, cells } = guarded(own.seat)
    await expect(lane.run(() => 1)).rejects.toMatchObject({ code: 'ERR_MODEL_UNAVAILABLE' })
    expect(Atomics.load(cells, STATE)).toBe(OUTSIDE_NATIVE)
    lane.takesTurns = false
    expect(await lane.run(() => 1)).toBe(1)
  })
})
