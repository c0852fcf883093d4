import { afterEach, expect, it, vi } from 'vitest'
import { MemoryMeter } from '../../../src/memory/memory-meter.js'
import { TestClock } from '../../../src/testing/test-clock.js'

vi.mock('node:fs/promises', async (importActual) => ({
  ...(await importActual<typeof import('node:fs/promises')>()),
  // Some systems have no /proc.
  readFile: () => Promise.reject(new Error('ENOENT: /proc/self/smaps_rollup')),
}))

const unreadable = new Error('the resident memory cannot be read')
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)))

afterEach(() => {
  vi.restoreAllMocks()
})

it('a background reading that fails causes no unhandled rejection, and a later reading is attempted', async () => {
  const resident = vi.spyOn(process, 'memoryUsage').mockImplementation((() => {
    throw unreadable
  }) as never)
  const unhandled = vi.fn()
  process.on('unhandledRejection', unhandled)
  const meter = new MemoryMeter(new TestClock())
  expect(meter.last()).toBeUndefined()
  await turn()
  process.off('unhandledRejection', unhandled)
  expect(unhandled).not.toHaveBeenCalled()

  resident.mockImplementation((() => ({ rss: 1_000 })) as never)
  expect(meter.last()).toBeUndefined()
  await turn()
  expect(meter.last()).toMatchObject({ pssBytes: 1_000 })
})

it('an awaited reading rejects with the reason', async () => {
  vi.spyOn(process, 'memoryUsage').mockImplementation((() => {
    throw unreadable
  }) as never)
  await expect(new MemoryMeter(new TestClock()).read()).rejects.toBe(unreadable)
})
