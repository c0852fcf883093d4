import { afterEach, beforeEach, expect, it } from 'vitest'
import { processWide, SHAPES } from '../../../src/platform/process-wide.js'

const KEY = Symbol.for('tbcoin-engine.process')
const holder = globalThis as { [KEY]?: Record<string, object> | undefined }
let before: Record<string, object> | undefined

beforeEach(() => {
  before = holder[KEY]
  delete holder[KEY]
})
afterEach(() => {
  holder[KEY] = before
})

it('a part of the process-wide state is created once, on first use', () => {
  expect(holder[KEY]).toBeUndefined()
  const part = processWide('loads', () => ({ heavy: 0 }))
  const again = processWide('loads', () => {
    throw new Error('made twice')
  })
  expect(again).toBe(part)
  expect(Object.keys(holder[KEY] ?? {})).toEqual([`loads/${SHAPES.loads}`])
})

it('a part that another copy of the package created is shared if it has the same shape, and left alone otherwise', () => {
  const [older, own, newer] = [{ isOlder: true }, { heavy: 7 }, { isNewer: true }]
  const [before, now, later] = [-1, 0, 1].map((step) => `loads/${SHAPES.loads + step}`) as [
    string,
    string,
    string,
  ]
  holder[KEY] = { [before]: older, [later]: newer }
  const part = processWide('loads', () => ({ heavy: 0 }))
  expect(part).toEqual({ heavy: 0 })
  expect(holder[KEY]).toEqual({ [before]: { isOlder: true }, [later]: { isNewer: true }, [now]: part })
  holder[KEY] = { [now]: own }
  expect(processWide('loads', () => ({ heavy: 0 }))).toBe(own)
})

it('the creation of a part that fails is tried again on the next use', () => {
  const failing = (): object => {
    throw new Error('not now')
  }
  expect(() => processWide('libc', failing)).toThrow('not now')
  expect(processWide('libc', () => ({ libc: undefined }))).toEqual({ libc: undefined })
})
