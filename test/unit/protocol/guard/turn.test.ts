import { describe, expect, it } from 'vitest'
import { sharedTurns } from '../../../../src/hosts/shared-turns.js'
import { Turn } from '../../../../src/protocol/guard/turn.js'

function seats<N extends number>(count: N): Turn[] {
  return Array.from({ length: count }, () => Turn.claim(sharedTurns()) as Turn)
}

function leaveAll(turns: readonly Turn[]): void {
  for (const turn of turns) turn.leave()
}

describe('the turn', () => {
  it('is taken by one, and handed over in the order of the seats', () => {
    const turns = seats(3)
    const [a, b, c] = turns as [Turn, Turn, Turn]
    for (const each of turns) each.request()
    expect(b.tryTake()).toBe('taken')
    expect([a.tryTake(), c.tryTake()]).toEqual([expect.any(Number), expect.any(Number)])
    // Who asks again comes after those who wait.
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

  it('of a thread that is gone goes to the next, and so does its seat', () => {
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

  it('wakes a thread that waits', async () => {
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

  it('is not waited for while the thread that has it is held up', () => {
    const [a, b] = seats(2) as [Turn, Turn]
    a.request()
    a.tryTake()
    b.request()
    // Only who has the turn holds the others up.
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
