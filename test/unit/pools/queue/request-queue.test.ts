import { describe, expect, it, vi } from 'vitest'
import { systemClock } from '../../../../src/platform/clock.js'
import { RequestQueue } from '../../../../src/pools/queue/request-queue.js'
import { RunRequest } from '../../../../src/pools/queue/run-request.js'

const request = (): RunRequest => new RunRequest(systemClock, 'vad', '5', {})

function drained(queue: RequestQueue): RunRequest[] {
  const order: RunRequest[] = []
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) order.push(next)
  return order
}

describe('the request queue', () => {
  it('returns requests in the order of arrival', () => {
    const queue = new RequestQueue()
    const all = [request(), request(), request()]
    for (const each of all) queue.push(each)
    expect(queue.size).toBe(3)
    expect(drained(queue)).toEqual(all)
    expect(queue.size).toBe(0)
  })

  it('is empty at first', () => {
    expect(new RequestQueue().shift()).toBeUndefined()
    expect(new RequestQueue().size).toBe(0)
  })

  it('marks a request as queued while it holds it', () => {
    const queue = new RequestQueue()
    const one = request()
    queue.push(one)
    expect(one.stage).toBe('queued')
    queue.shift()
    expect(one.stage).toBe('waiting')
  })

  it.each([0, 1, 2])('closes the gap when request %i of three is removed', (index) => {
    const queue = new RequestQueue()
    const all = [request(), request(), request()]
    for (const each of all) queue.push(each)
    queue.remove(all[index] as RunRequest)
    expect(queue.size).toBe(2)
    expect(drained(queue)).toEqual(all.filter((_, i) => i !== index))
  })

  it('can be used again after its last request was removed', () => {
    const queue = new RequestQueue()
    const [first, second] = [request(), request()]
    queue.push(first)
    queue.remove(first)
    expect(queue.shift()).toBeUndefined()
    queue.push(second)
    queue.push(first)
    expect(drained(queue)).toEqual([second, first])
  })

  it('clears the links of a removed request', () => {
    const queue = new RequestQueue()
    const all = [request(), request(), request()]
    for (const each of all) queue.push(each)
    queue.remove(all[1] as RunRequest)
    queue.shift()
    for (const each of all.slice(0, 2)) {
      expect(each.previous).toBeUndefined()
      expect(each.next).toBeUndefined()
    }
  })

  it('returns the highest priority first, but starves no request', () => {
    vi.useFakeTimers()
    const queue = new RequestQueue()
    const of = (priority: number): RunRequest => new RunRequest(systemClock, 'vad', '5', { priority })
    const old = of(-1)
    queue.push(old)
    vi.advanceTimersByTime(1_500)
    const [normal, high, low] = [of(0), of(1), of(-1)]
    for (const each of [low, normal, high]) queue.push(each)
    vi.advanceTimersByTime(100)
    const late = of(2)
    queue.push(late)
    // A step of priority is worth a second, and the old request has waited half a second longer than that.
    expect(drained(queue)).toEqual([late, high, old, normal, low])
    vi.useRealTimers()
  })

  it('behaves like an array under any order of pushes, shifts and removals', () => {
    const queue = new RequestQueue()
    const model: RunRequest[] = []
    let seed = 7
    const random = (limit: number): number => {
      seed = (seed * 48271) % 2147483647
      return seed % limit
    }
    for (let step = 0; step < 2000; step += 1) {
      const move = random(3)
      if (move === 0 || model.length === 0) {
        const one = request()
        queue.push(one)
        model.push(one)
      } else if (move === 1) {
        expect(queue.shift()).toBe(model.shift())
      } else {
        const [one] = model.splice(random(model.length), 1)
        queue.remove(one as RunRequest)
      }
      expect(queue.size).toBe(model.length)
    }
    expect(drained(queue)).toEqual(model)
  })
})
