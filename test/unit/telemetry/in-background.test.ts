import { expect, it, vi } from 'vitest'
import { inBackground } from '../../../src/telemetry/in-background.js'
import { type Line, listLogger } from '../../support/test-logger.js'

const mistake = new Error('a mistake')

/** Resolves after Node has reported the rejections that nobody handles. */
const reported = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)))

it('background work that fails gives one error line and no unhandled rejection', async () => {
  const lines: Line[] = []
  const unhandled = vi.fn()
  process.on('unhandledRejection', unhandled)
  inBackground({ logger: listLogger(lines) }, Promise.reject(mistake), 'an eviction')
  await reported()
  process.off('unhandledRejection', unhandled)
  expect(lines).toEqual([{ level: 'error', message: 'an eviction failed', fields: { err: mistake } }])
  expect(unhandled).not.toHaveBeenCalled()
})

it('background work that succeeds gives no line', async () => {
  const lines: Line[] = []
  inBackground({ logger: listLogger(lines) }, Promise.resolve(1), 'an eviction')
  await reported()
  expect(lines).toEqual([])
})
