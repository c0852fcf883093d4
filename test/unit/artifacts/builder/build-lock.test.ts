import { getEventListeners } from 'node:events'
import { expect, it } from 'vitest'
import { withBuildLock } from '../../../../src/artifacts/builder/build-lock.js'
import { systemClock } from '../../../../src/platform/clock.js'

const open = new AbortController().signal

const name = (): string => `test ${process.pid} ${Math.random()}`

it.runIf(process.platform !== 'darwin')('work under the same lock name never overlaps', async () => {
  const all = Array.from({ length: 12 }, (_, index) => index)
  const lock = name()
  let inside = 0
  let most = 0
  const done: number[] = []
  const work = async (index: number): Promise<void> => {
    inside += 1
    most = Math.max(most, inside)
    await new Promise((resolve) => setImmediate(resolve))
    inside -= 1
    done.push(index)
  }
  await Promise.all(all.map((index) => withBuildLock(systemClock, lock, 60_000, open, () => work(index))))
  expect(most).toBe(1)
  expect(done.sort((a, b) => a - b)).toEqual(all)
  expect(getEventListeners(open, 'abort')).toEqual([])
})

it('work that fails releases its build lock', async () => {
  const lock = name()
  const failing = withBuildLock(systemClock, lock, 60_000, open, async () => {
    throw new Error('no')
  })
  await expect(failing).rejects.toThrow('no')
  expect(await withBuildLock(systemClock, lock, 60_000, open, async () => 'yes')).toBe('yes')
})

it('work begins without the build lock after its timeout or an abort', async () => {
  const lock = name()
  let end = (): void => undefined
  const first = withBuildLock(
    systemClock,
    lock,
    60_000,
    open,
    () =>
      new Promise<void>((resolve) => {
        end = resolve
      }),
  )
  expect(await withBuildLock(systemClock, lock, 1, open, async () => 'done')).toBe('done')
  const aborted = new AbortController()
  const second = withBuildLock(systemClock, lock, 60_000, aborted.signal, async () => 'aborted')
  aborted.abort()
  expect(await second).toBe('aborted')
  end()
  await first
})
