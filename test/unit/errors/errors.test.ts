import { describe, expect, it, vi } from 'vitest'
import {
  ERROR_TABLE,
  type ErrorCode,
  errors,
  isRuntimeError,
  RuntimeError,
} from '../../../src/errors/errors.js'

const codes = Object.keys(ERROR_TABLE) as ErrorCode[]
const design = [
  'ERR_INVALID_OPTIONS ERR_INVALID_INPUT ERR_MODEL_NOT_FOUND ERR_VERSION_NOT_FOUND ERR_VERSION_EXISTS',
  'ERR_MODEL_UNAVAILABLE ERR_MODEL_LOAD ERR_WARMUP ERR_SIGNATURE_MISMATCH ERR_OVERLOADED',
  'ERR_DEADLINE_EXCEEDED ERR_ABORTED ERR_INFERENCE ERR_REPLICA_EXITED ERR_CIRCUIT_OPEN',
  'ERR_INSUFFICIENT_MEMORY ERR_DRAIN_TIMEOUT ERR_RUNTIME_CLOSED ERR_ILLEGAL_TRANSITION',
  'ERR_SWAP_SUPERSEDED ERR_ALREADY_ACTIVE ERR_VERSION_CONFLICT ERR_INVALID_MANIFEST',
  'ERR_UNSUPPORTED_MODEL ERR_REPLICA_STUCK ERR_RESOURCE_NOT_FOUND ERR_RESOURCE_INIT ERR_STARTUP ERR_SHUTDOWN',
].flatMap((line) => line.split(' '))

describe('the error table', () => {
  it('holds exactly the codes of the contract', () => {
    expect(codes.toSorted()).toEqual(design.toSorted())
  })

  it('says of every code what it means, in one sentence', () => {
    for (const code of codes) expect(ERROR_TABLE[code].meaning, code).toMatch(/^[A-Z].+\.$/s)
  })

  it.each(codes)('%s has a class of its own with its literal code', (code) => {
    const ErrorClass = errors[code]
    const error = new ErrorClass('what happened')
    expect(ErrorClass.code).toBe(code)
    expect(error.code).toBe(code)
    expect(error).toBeInstanceOf(ErrorClass)
    expect(error).toBeInstanceOf(RuntimeError)
    expect(error).toBeInstanceOf(Error)
    expect(error.message).toBe('what happened')
    expect(error.retryable).toBe(ERROR_TABLE[code].retryable)
    expect(error.name).toBe((ErrorClass as unknown as { name: string }).name)
    expect(String(error)).toBe(`${error.name}: what happened`)
    expect(error.stack).toContain('errors.test.ts')
  })

  it('gives every class a name of its own that ends in Error', () => {
    const names = codes.map((code) => new errors[code]('').name)
    expect(new Set(names).size).toBe(codes.length)
    expect(names.filter((name) => !/^[A-Z][A-Za-z]+Error$/.test(name))).toEqual([])
  })

  it('calls an abort what the web calls it', () => {
    expect(new errors.ERR_ABORTED('').name).toBe('AbortError')
    expect(new errors.ERR_MODEL_NOT_FOUND('').name).toBe('ModelNotFoundError')
  })

  it('does not take an error of one class for another', () => {
    expect(new errors.ERR_ABORTED('')).not.toBeInstanceOf(errors.ERR_INFERENCE)
  })
})

describe('an error', () => {
  it('carries its subject, cause, stage and hint', () => {
    const cause = new Error('why')
    const error = new errors.ERR_OVERLOADED('full', {
      model: 'vad',
      version: '5',
      stage: 'queued',
      retryAfterMs: 100,
      cause,
    })
    expect(error).toMatchObject({ model: 'vad', version: '5', stage: 'queued', retryAfterMs: 100, cause })
  })

  it('has no key for what it was not given', () => {
    const error = new errors.ERR_OVERLOADED('full', { model: undefined, cause: undefined })
    for (const key of ['model', 'version', 'stage', 'retryAfterMs', 'cause']) {
      expect(key in error, key).toBe(false)
    }
  })

  it('shows its code and subject when it is logged as JSON', () => {
    const error = new errors.ERR_INFERENCE('no', { model: 'vad', version: '5' })
    expect(JSON.parse(JSON.stringify(error))).toMatchObject({
      code: 'ERR_INFERENCE',
      model: 'vad',
      version: '5',
      retryable: false,
    })
  })

  it('is told from any other value', () => {
    expect(isRuntimeError(new errors.ERR_ABORTED(''))).toBe(true)
    const others = [new Error('x'), { code: 'ERR_ABORTED' }, 'ERR_ABORTED', undefined, null]
    for (const other of others) expect(isRuntimeError(other)).toBe(false)
  })

  it('is told also where another copy of the library has made it', async () => {
    vi.resetModules()
    const copy = await import('../../../src/errors/errors.js')
    const error = new copy.errors.ERR_ABORTED('')
    expect(error).toBeInstanceOf(RuntimeError)
    expect(isRuntimeError(error)).toBe(true)
  })
})
