import { describe, expect, it } from 'vitest'
import { Outbox } from '../../../src/async/outbox.js'

/** Returns an outbox and the calls that it has made, in order. */
function make(): { outbox: Outbox; called: string[]; post: (name: string, then?: () => void) => void } {
  const outbox = new Outbox()
  const called: string[] = []
  const post = (name: string, then?: () => void): void =>
    outbox.post(() => {
      called.push(name)
      then?.()
    })
  return { outbox, called, post }
}

describe('an outbox', () => {
  it('makes a call at once outside of an operation', () => {
    const { called, post } = make()
    post('a')
    expect(called).toEqual(['a'])
  })

  it('makes calls in order when the outermost operation ends', () => {
    const { outbox, called, post } = make()
    outbox.hold()
    post('a')
    outbox.during(() => post('b'))
    expect(called).toEqual([])
    outbox.release()
    expect(called).toEqual(['a', 'b'])
  })

  it('makes the calls that an operation posted before it threw', () => {
    const { outbox, called, post } = make()
    const work = (): never => {
      post('a')
      throw new Error('x')
    }
    expect(() => outbox.during(work)).toThrow('x')
    expect(called).toEqual(['a'])
    post('b')
    expect(called).toEqual(['a', 'b'])
  })

  it('makes the posted calls on deliver() and holds later calls until the operation ends', () => {
    const { outbox, called, post } = make()
    outbox.during(() => {
      post('a')
      outbox.deliver()
      expect(called).toEqual(['a'])
      post('b')
      expect(called).toEqual(['a'])
    })
    expect(called).toEqual(['a', 'b'])
  })

  it('makes all waiting calls before the calls that they post, inside and outside of an operation', () => {
    for (const isDuring of [true, false]) {
      const { outbox, called, post } = make()
      outbox.during(() => {
        post('a', () => (isDuring ? outbox.during(() => post('c')) : post('c')))
        post('b')
      })
      expect(called).toEqual(['a', 'b', 'c'])
    }
  })

  it('throws a RangeError for a call that posts itself forever, and still works afterwards', () => {
    const { outbox, called, post } = make()
    const again = (): void => outbox.during(() => post('again', again))
    expect(again).toThrow(RangeError)
    called.length = 0
    outbox.during(() => {
      post('a')
      expect(called).toEqual([])
    })
    expect(called.at(-1)).toBe('a')
  })
})
