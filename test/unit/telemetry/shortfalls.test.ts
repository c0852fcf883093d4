import { describe, expect, it } from 'vitest'
import { Shortfalls } from '../../../src/telemetry/shortfalls.js'
import { type Line, listLogger } from '../../support/test-logger.js'

describe('a missing capability of the machine', () => {
  const lines: Line[] = []
  const shortfalls = new Shortfalls(listLogger(lines))
  const newLines = (): Line[] => lines.splice(0)

  it('is reported in one warning together with the others, each with its reason', () => {
    const [one, other] = [new Error('it is read-only'), new Error('it is missing')]
    shortfalls.add('nothing is kept', one, { cacheDir: '/cache' })
    shortfalls.add('no memory goes back', other)
    expect(newLines()).toEqual([])
    shortfalls.report()
    const [line, ...more] = newLines()
    expect(more).toEqual([])
    expect(line).toMatchObject({
      level: 'warn',
      message: 'nothing is kept; no memory goes back',
      fields: {
        cacheDir: '/cache',
        err: { message: 'it is read-only; it is missing', errors: [one, other] },
      },
    })
  })

  it('is reported once', () => {
    shortfalls.add('nothing is kept', new Error('it is read-only'))
    shortfalls.report()
    expect(newLines()).toMatchObject([{ level: 'debug', message: 'nothing is kept' }])
  })

  it('is reported later if it is found later, with its own error', () => {
    const late = new Error('the disk is full')
    shortfalls.add('nothing is built', late)
    shortfalls.report()
    expect(newLines()).toEqual([{ level: 'warn', message: 'nothing is built', fields: { err: late } }])
  })
})
