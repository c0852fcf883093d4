import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Lane } from '../../../src/async/lane.js'
import { systemClock } from '../../../src/platform/clock.js'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** Returns tasks that run until they are ended, and the names of those that have begun. */
function tasks() {
  const begun: string[] = []
  const ends = new Map<string, () => void>()
  const task = (name: string) => (): Promise<string> => {
    begun.push(name)
    return new Promise((resolve) => ends.set(name, () => resolve(name)))
  }
  return { begun, task, end: (name: string) => ends.get(name)?.() }
}

it('a lane starts tasks in order and runs at most as many at a time as its width', async () => {
  const lane = new Lane(systemClock, 2)
  const { begun, task, end } = tasks()
  const all = ['a', 'b', 'c', 'd'].map((name) => lane.add(task(name)))
  await vi.advanceTimersByTimeAsync(0)
  expect(begun).toEqual(['a', 'b'])
  end('b')
  expect(await all[1]).toBe('b')
  expect(begun).toEqual(['a', 'b', 'c'])
  for (const name of ['a', 'c']) end(name)
  await Promise.all([all[0], all[2]])
  expect(begun).toEqual(['a', 'b', 'c', 'd'])
  end('d')
  expect(await all[3]).toBe('d')
})

it('a task that rejects or throws frees its place in the lane', async () => {
  const lane = new Lane(systemClock, 1)
  const failing = lane.add(() => Promise.reject(new Error('rejects')))
  const throwing = lane.add(() => {
    throw new Error('throws')
  })
  await expect(failing).rejects.toThrow('rejects')
  await expect(throwing).rejects.toThrow('throws')
  expect(await lane.add(async () => 'done')).toBe('done')
})

it('each task that hangs delays the next one by a bounded time', async () => {
  const lane = new Lane(systemClock, 1)
  const { begun, task, end } = tasks()
  const hung = ['a', 'b', 'c'].map((name) => lane.add(task(name)))
  const last = lane.add(async () => 'done')
  for (const expected of [['a'], ['a', 'b'], ['a', 'b', 'c']]) {
    await vi.advanceTimersByTimeAsync(0)
    expect(begun).toEqual(expected)
    await vi.advanceTimersToNextTimerAsync()
  }
  expect(await last).toBe('done')
  // The tasks still settle, but they do not free a place a second time.
  for (const name of ['a', 'b', 'c']) end(name)
  expect(await Promise.all(hung)).toEqual(['a', 'b', 'c'])
  const next = ['d', 'e'].map((name) => lane.add(task(name)))
  await vi.advanceTimersByTimeAsync(0)
  expect(begun).toEqual(['a', 'b', 'c', 'd'])
  end('d')
  await next[0]
  end('e')
  await next[1]
})

it('a task that reads large files holds its place for the time that reading takes', async () => {
  const lane = new Lane(systemClock, 1)
  const { begun, task, end } = tasks()
  const large = lane.add(task('large'), 100 * 2 ** 20)
  const small = lane.add(task('small'))
  await vi.advanceTimersByTimeAsync(2_000)
  expect(begun).toEqual(['large'])
  await vi.advanceTimersByTimeAsync(1_000)
  expect(begun).toEqual(['large', 'small'])
  for (const name of ['large', 'small']) end(name)
  await Promise.all([large, small])
  expect(vi.getTimerCount()).toBe(0)
})
