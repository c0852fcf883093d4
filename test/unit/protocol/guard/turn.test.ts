import { describe, expect, it } from 'vitest'
import { sharedTurns } from '../../../../src/hosts/shared-turns.js'
import { Turn } from '../../../../src/protocol/guard/turn.js'

function seats<N extends number>(count: N): Turn[] {
  return Array.from({ length: count }, () => Turn.claim(sharedTurns()) as Turn)
}

function leaveAll(turns: readonly Turn[]): void {
  for (const turn of turns) turn.leave()
}

describe('the turn of native threads', () => {
  it('has one holder, and is handed over in the order of the seats', () => {
    const turns = seats(3)
    const [a, b, c] = turns as [Turn, Turn, Turn]
    for (const each of turns) each.request()
    expect(b.tryTake()).toBe('taken')
    expect([a.tryTake(), c.tryTake()]).toEqual([expect.any(Number), expect.any(Number)])
    // A thread that requests the turn again comes after the waiting threads.
    b.pass()
    b.request()
    expect([a, b, c].map((each) => each.isWaiting)).toEqual([true, true, false])
    expect([a.tryTake(), b.tryTake(), c.tryTake()]).toEqual([expect.any(Number), expect.any(Number), 'taken'])
    c.pass()
    expect(a.tryTake()).toBe('taken')
    a.pass()
    expect(b.tryTake()).toBe('taken')
    leaveAll(turns)
  })

  it('of an ended thread passes to the next thread, and its seat becomes free', () => {
    const [a, b] = seats(2) as [Turn, Turn]
    a.request()
    expect(a.tryTake()).toBe('taken')
    b.request()
    a.leave()
    expect(b.tryTake()).toBe('taken')
    const again = Turn.claim(sharedTurns()) as Turn
    expect(again.seat.index).toBe(a.seat.index)
    again.request()
    expect(again.tryTake()).toEqual(expect.any(Number))
    b.leave()
    expect(again.tryTake()).toBe('taken')
    again.leave()
  })

  it('is never given to a thread that died while it waited', () => {
    const turns = seats(3)
    const [a, b, c] = turns as [Turn, Turn, Turn]
    for (const each of turns) each.request()
    expect(a.tryTake()).toBe('taken')
    b.leave()
    a.pass()
    expect(c.tryTake()).toBe('taken')
    leaveAll([a, c])
  })

  it('wakes a waiting thread', async () => {
    const [a, b] = seats(2) as [Turn, Turn]
    a.request()
    a.tryTake()
    b.request()
    const changed = b.changed(b.tryTake() as number)
    const keepAlive = setInterval(() => undefined, 1_000)
    a.pass()
    await changed
    clearInterval(keepAlive)
    expect(b.tryTake()).toBe('taken')
    leaveAll([a, b])
  })

  it('is not waited for while its holder is blocked', () => {
    const [a, b] = seats(2) as [Turn, Turn]
    a.request()
    a.tryTake()
    b.request()
    // Only the holder of the turn blocks the others.
    b.holdUp()
    expect(b.tryTake()).toEqual(expect.any(Number))
    a.holdUp()
    expect(b.tryTake()).toBe('held-up')
    expect(b.isWaiting).toBe(false)
    a.pass()
    b.request()
    expect(b.tryTake()).toBe('taken')
    leaveAll([a, b])
  })

  it('has a limited number of seats', () => {
    const turns: Turn[] = []
    for (let turn = Turn.claim(sharedTurns()); turn !== undefined; turn = Turn.claim(sharedTurns()))
      turns.push(turn)
    expect(turns).toHaveLength(512)
    leaveAll(turns)
    const [one] = seats(1) as [Turn]
    one.request()
    expect(one.tryTake()).toBe('taken')
    one.leave()
  })
})
