import { describe, expect, it } from 'vitest'
import { ERROR_TABLE, type ErrorCode, errors } from '../../../src/errors/errors.js'
import { asRuntimeError, decodeError, encodeError } from '../../../src/protocol/error-codec.js'

/** Encodes and decodes an error as it travels: as structured-cloned data. */
function travel(thrown: unknown): Error {
  return decodeError(structuredClone(encodeError(thrown)))
}

describe('the error codec', () => {
  it.each(Object.keys(ERROR_TABLE) as ErrorCode[])('decodes %s as its own class', (code) => {
    const original = new errors[code]('what happened', { model: 'vad', version: '5' })
    const arrived = travel(original)
    expect(arrived).toBeInstanceOf(errors[code])
    expect(arrived).toMatchObject({
      code,
      name: original.name,
      message: 'what happened',
      model: 'vad',
      version: '5',
      retryable: original.retryable,
      stack: original.stack,
    })
  })

  it('keeps the stage and the hint', () => {
    const arrived = travel(new errors.ERR_DEADLINE_EXCEEDED('late', { stage: 'in-flight', retryAfterMs: 5 }))
    expect(arrived).toMatchObject({ stage: 'in-flight', retryAfterMs: 5 })
  })

  it('keeps a chain of causes, those of this library and others', () => {
    const root = Object.assign(new RangeError('root'), { code: 'E_ROOT', size: 3 })
    const middle = new errors.ERR_MODEL_LOAD('middle', { cause: root })
    const arrived = travel(new Error('top', { cause: middle }))
    const second = arrived.cause as Error
    const third = second.cause as Error
    expect(arrived).toMatchObject({ name: 'Error', message: 'top' })
    expect(second).toBeInstanceOf(errors.ERR_MODEL_LOAD)
    expect(third).toMatchObject({ name: 'RangeError', message: 'root', code: 'E_ROOT', size: 3 })
    expect(third.cause).toBeUndefined()
  })

  it('keeps name, code and plain fields of a foreign error', () => {
    const original = Object.assign(new TypeError('no such file'), {
      code: 'ENOENT',
      errno: -2,
      path: '/x',
      fatal: true,
    })
    const arrived = travel(original)
    expect(arrived).toMatchObject({
      name: 'TypeError',
      message: 'no such file',
      code: 'ENOENT',
      errno: -2,
      path: '/x',
      fatal: true,
    })
    expect(arrived.stack).toBe(original.stack)
  })

  it('drops fields that cannot be cloned and keeps the rest', () => {
    const arrived = travel(Object.assign(new Error('x'), { callback: () => 1, socket: {}, port: 80 }))
    expect(arrived).toMatchObject({ port: 80 })
    expect(arrived).not.toHaveProperty('callback')
    expect(arrived).not.toHaveProperty('socket')
  })

  it('keeps all errors of an AggregateError', () => {
    const inner = [new errors.ERR_WARMUP('one'), new TypeError('two'), 'three']
    const arrived = travel(
      new AggregateError(inner, 'several', { cause: new Error('why') }),
    ) as AggregateError
    expect(arrived).toBeInstanceOf(AggregateError)
    expect(arrived.message).toBe('several')
    expect((arrived.cause as Error).message).toBe('why')
    expect(arrived.errors.map((error: Error) => error.message)).toEqual(['one', 'two', 'three'])
    expect(arrived.errors[0]).toBeInstanceOf(errors.ERR_WARMUP)
  })

  it('keeps the name of a DOMException', () => {
    expect(travel(new DOMException('stop', 'AbortError'))).toMatchObject({
      name: 'AbortError',
      message: 'stop',
    })
  })

  it.each([
    ['a string', 'just words', 'just words'],
    ['undefined', undefined, 'undefined'],
    ['null', null, 'null'],
    ['a number', 42, '42'],
    ['an object', { code: 'ERR_ABORTED', a: 1 }, '"a":1'],
    ['a symbol', Symbol('s'), 'Symbol(s)'],
    ['a bigint', 3n, 'cannot be shown'],
    ['a function', () => 1, '=> 1'],
  ])('creates an error from %s', (_, thrown, shown) => {
    const arrived = travel(thrown)
    expect(arrived).toBeInstanceOf(Error)
    expect(arrived.name).toBe('NonError')
    expect(arrived.message).toContain(shown)
    expect(arrived).not.toHaveProperty('code')
  })

  it('creates an error from an object that cannot be read', () => {
    const loop: Record<string, unknown> = {}
    loop.self = loop
    expect(travel(loop).message).toContain('cannot be shown')
  })

  it('cuts off an endless chain of causes', () => {
    const error = new Error('round')
    error.cause = error
    let depth = 0
    for (let each: unknown = travel(error); each instanceof Error; each = each.cause) depth += 1
    expect(depth).toBeGreaterThan(4)
    expect(depth).toBeLessThan(20)
  })

  it('does not trust a foreign error that only has one of the error codes', () => {
    const arrived = travel(Object.assign(new Error('x'), { code: 'toString' }))
    expect(arrived).toMatchObject({ code: 'toString', name: 'Error' })
  })

  it('decodes a subclass of a runtime error by its code', () => {
    const arrived = travel(new errors.ERR_ABORTED('stop', { cause: 'the reason' }))
    expect(arrived.name).toBe('AbortError')
    expect((arrived.cause as Error).message).toBe('the reason')
  })
})

describe('asRuntimeError', () => {
  it('returns a runtime error unchanged', () => {
    const error = new errors.ERR_UNSUPPORTED_MODEL('no')
    expect(asRuntimeError('ERR_MODEL_LOAD', 'the load failed', error)).toBe(error)
  })

  it('wraps any other error as the cause and names the subject', () => {
    const cause = new TypeError('bad')
    const error = asRuntimeError('ERR_MODEL_LOAD', 'the load failed', cause, { model: 'vad', version: '5' })
    expect(error).toMatchObject({
      code: 'ERR_MODEL_LOAD',
      message: 'the load failed: bad',
      model: 'vad',
      version: '5',
      cause,
    })
  })

  it('wraps a value that is not an error', () => {
    expect(asRuntimeError('ERR_INFERENCE', 'the run failed', 'words')).toMatchObject({
      message: 'the run failed: words',
      cause: 'words',
    })
  })
})
