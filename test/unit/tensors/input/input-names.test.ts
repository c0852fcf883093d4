import { describe, expect, it } from 'vitest'
import { isRuntimeError } from '../../../../src/errors/errors.js'
import { prepareFeeds } from '../../../../src/tensors/input/prepare-inputs.js'
import { refusal, SILERO, SUBJECT, signatureOf, spec } from '../../../support/signatures.js'

const EXPECTED = '"input" float32[?, ?], "state" float32[2, ?, 128], "sr" int64 scalar'
const input = new Float32Array(576)
const state = new Float32Array(256)

describe('the names of the inputs', () => {
  it('must all be present', () => {
    expect(refusal(SILERO, { input })).toBe(`missing inputs "state", "sr"; the model expects ${EXPECTED}`)
    expect(refusal(SILERO, { input, state })).toContain('missing input "sr";')
  })

  it('must all be known', () => {
    expect(refusal(SILERO, { input, state, sr: 1, other: 1 })).toBe(
      `unknown input "other"; the model expects ${EXPECTED}`,
    )
  })

  it('are suggested when nearly right', () => {
    expect(refusal(SILERO, { input, staet: state, sr: 1 })).toContain(
      'missing input "state", unknown input "staet" (did you mean "state" by "staet"?)',
    )
    expect(refusal(SILERO, { Input: input, state, sr: 1 })).toContain('did you mean "input"')
    expect(refusal(SILERO, { input, state, rate: 1 })).not.toContain('did you mean')
  })

  it('count only as own enumerable properties', () => {
    expect(refusal(SILERO, Object.create({ input, state, sr: 1 }))).toContain('object without keys')
    const hidden = Object.defineProperty({ input, state }, 'sr', { value: 1 })
    expect(refusal(SILERO, hidden)).toContain('missing input "sr"')
    const bare = Object.assign(Object.create(null), { input, state, sr: 1 })
    expect(Object.keys(prepareFeeds(SILERO, bare, SUBJECT))).toEqual(['input', 'state', 'sr'])
  })

  it('may be those of Object.prototype', () => {
    const names = ['__proto__', 'constructor', 'toString']
    const signature = signatureOf(...names.map((name) => spec(name, 'float32', '')))
    const values = Object.fromEntries(names.map((name) => [name, Float32Array.of(1)]))
    const feeds = prepareFeeds(signature, values, SUBJECT)
    expect(Object.keys(feeds)).toEqual(names)
    expect(Object.getPrototypeOf(feeds)).toBe(Object.prototype)
    expect(Object.getOwnPropertyDescriptor(feeds, '__proto__')?.value).toMatchObject({ dims: [1] })
    expect(refusal(signature, {})).toContain('"__proto__" float32[?]')
    expect(refusal(signatureOf(spec('x', 'float32')), { x: 1, constructor: 1 })).toContain(
      'unknown input "constructor"',
    )
  })

  it('may be none for a model without inputs', () => {
    expect(prepareFeeds(signatureOf(), {}, SUBJECT)).toEqual({})
    expect(refusal(signatureOf(), { x: 1 })).toContain('unknown input "x"; the model expects no inputs')
  })

  it('are listed up to a limit', () => {
    const many = signatureOf(
      ...Array.from({ length: 50 }, (_, index) => spec(`past.${index}`, 'float16', '')),
    )
    const message = refusal(many, { wrong: 1 })
    expect(message).toContain('"past.19" and 30 more')
    expect(message).not.toContain('"past.20"')
  })
})

describe('an input that is not a record of names', () => {
  it.each([
    [undefined, 'undefined'],
    [null, 'null'],
    [5, 'number 5'],
    ['text', 'string "text"'],
    [[1, 2], 'array of 2'],
    [new Float32Array(3), 'Float32Array(3)'],
    [new Map([['x', 1]]), 'Map'],
    [Promise.resolve({}), 'Promise (is an await missing?)'],
    [{ type: 'float32', dims: [1], data: new Float32Array(1) }, 'tensor float32[1]'],
  ])('is refused: %o', (value, got) => {
    expect(refusal(SILERO, value)).toBe(`the input must be an object with ${EXPECTED}, by name; got ${got}`)
  })
})

describe('an input that throws while it is read', () => {
  it('is refused with the thrown error as the cause', () => {
    const cause = new Error('no data today')
    const throwing = {
      get x(): never {
        throw cause
      },
    }
    const run = () => prepareFeeds(signatureOf(spec('x', 'float32', 2)), throwing, SUBJECT)
    expect(run).toThrow('input "x" expects float32[2], got a value that cannot be read: no data today')
    try {
      run()
    } catch (error) {
      expect(isRuntimeError(error) && error.cause).toBe(cause)
    }
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    expect(refusal(SILERO, proxy)).toContain('the input')
    expect(refusal(signatureOf(spec('x', 'float32')), { x: proxy })).toContain('input "x"')
  })
})
