import { describe, expect, it } from 'vitest'
import { ERROR_TABLE, type ErrorCode, errors } from '../../../src/errors/errors.js'
import {
  endStateOf,
  errorCodeOf,
  isOver,
  REQUEST_STATES,
  REQUEST_TRANSITIONS,
} from '../../../src/requests/request-states.js'

const codes = Object.keys(ERROR_TABLE) as ErrorCode[]
const refusals = [
  'ERR_INVALID_OPTIONS',
  'ERR_INVALID_INPUT',
  'ERR_MODEL_NOT_FOUND',
  'ERR_VERSION_NOT_FOUND',
  'ERR_MODEL_UNAVAILABLE',
  'ERR_OVERLOADED',
  'ERR_CIRCUIT_OPEN',
  'ERR_RUNTIME_CLOSED',
]

describe('the request states', () => {
  it('all have a row in the transition table', () => {
    expect(Object.keys(REQUEST_TRANSITIONS)).toEqual([...REQUEST_STATES])
  })

  it('are final in five cases', () => {
    expect(REQUEST_STATES.filter(isOver)).toEqual([
      'completed',
      'failed',
      'timed-out',
      'cancelled',
      'rejected',
    ])
  })

  it('never lead back', () => {
    for (const [index, from] of REQUEST_STATES.entries()) {
      for (const to of REQUEST_TRANSITIONS[from]) expect(REQUEST_STATES.indexOf(to)).toBeGreaterThan(index)
    }
  })
})

describe('the final state of a request', () => {
  const endOf = (code: ErrorCode, from: 'received' | 'queued' | 'running' = 'received'): string =>
    endStateOf(new errors[code]('why'), from)

  it('is rejected for a refusal before it has run', () => {
    expect(codes.filter((code) => endOf(code) === 'rejected').sort()).toEqual(refusals.sort())
    expect(codes.filter((code) => endOf(code, 'queued') === 'rejected').sort()).toEqual(refusals.sort())
    expect(codes.filter((code) => endOf(code, 'running') === 'rejected')).toEqual([])
    expect(endOf('ERR_RUNTIME_CLOSED', 'running')).toBe('failed')
  })

  it.each(['received', 'queued', 'running'] as const)('follows a deadline or an abort from %s', (from) => {
    expect(codes.filter((code) => endOf(code, from) === 'timed-out')).toEqual(['ERR_DEADLINE_EXCEEDED'])
    expect(codes.filter((code) => endOf(code, from) === 'cancelled')).toEqual(['ERR_ABORTED'])
  })

  it.each([
    ['cancelled', AbortSignal.abort().reason],
    ['timed-out', new DOMException('late', 'TimeoutError')],
    ['failed', new TypeError('x')],
    ['failed', Object.assign(new Error('x'), { code: 'ECONNRESET' })],
    ['failed', Object.assign(new Error('x'), { code: 7 })],
    ['failed', 'just words'],
    ['failed', undefined],
    ['failed', null],
    ['failed', { code: 'ERR_ABORTED' }],
    ['failed', Object.assign(new Error('x'), { code: 'constructor', name: 'toString' })],
  ])('is %s for errors of others: %s', (end, error) => {
    expect(endStateOf(error, 'running')).toBe(end)
  })

  it('keeps the code of a runtime error', () => {
    expect(errorCodeOf(new errors.ERR_INFERENCE('x'))).toBe('ERR_INFERENCE')
    expect(errorCodeOf(Object.assign(new Error('x'), { code: 'ECONNRESET' }))).toBe('ECONNRESET')
    expect(errorCodeOf(AbortSignal.abort().reason)).toBeUndefined()
    expect(errorCodeOf('ERR_INFERENCE')).toBeUndefined()
  })
})
