import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import type { Logger } from '../../../src/telemetry/logger.js'
import { LEVELS, safeLogger } from '../../../src/telemetry/safe-logger.js'
import { type Line, listLogger } from '../../support/test-logger.js'

const failing = (): never => {
  throw new Error('ENOSPC')
}
const rejecting = (): Promise<never> => Promise.reject(new Error('ENOSPC'))

function loggerOf(write: () => unknown, child: () => unknown): Logger {
  const levels = Object.fromEntries(LEVELS.map((level) => [level, write]))
  return { ...levels, flush: write, child } as unknown as Logger
}

describe('a safe logger', () => {
  it.each<[string, () => unknown]>([
    ['throws', failing],
    ['rejects', rejecting],
  ])('drops the lines that a logger that %s cannot write', async (_, write) => {
    const logger = safeLogger(loggerOf(write, () => loggerOf(write, failing)))
    for (const each of [logger, logger.child({ a: 1 }), logger.child({ a: 1 }).child({ b: 2 })]) {
      for (const level of LEVELS) expect(each[level]({}, 'x')).toBeUndefined()
      expect(each.flush?.()).toBeUndefined()
    }
    // An unhandled rejection would fail this test.
    await new Promise((resolve) => setImmediate(resolve))
  })

  it.each<[string, () => unknown]>([
    ['throws', failing],
    ['returns no logger', () => undefined],
  ])('writes the lines of a child itself when `child` %s', (_, child) => {
    const lines: Line[] = []
    const logger = safeLogger({ ...listLogger(lines), child: child as Logger['child'] })
    logger.child({ a: 1 }).child({ b: 2 }).warn({ c: 3 }, 'written')
    expect(lines).toEqual([{ level: 'warn', message: 'written', fields: { a: 1, b: 2, c: 3 } }])
  })

  it('passes lines, bindings and other members of the logger through', () => {
    const written: string[] = []
    const own = pino({ level: 'info', base: null, timestamp: false }, { write: (line) => written.push(line) })
    const child = safeLogger(own).child({ a: 1 })
    child.info({ b: 2 }, 'one')
    child.debug({}, 'two')
    own.level = 'debug'
    safeLogger(own).debug({}, 'three')
    expect(written.map((line) => JSON.parse(line))).toEqual([
      { level: 30, a: 1, b: 2, msg: 'one' },
      { level: 20, msg: 'three' },
    ])
    expect((child as unknown as typeof own).isLevelEnabled('info')).toBe(true)
  })

  it('is not wrapped twice', () => {
    const logger = safeLogger(listLogger([]))
    expect(safeLogger(logger)).toBe(logger)
  })
})
