import {
  type AnyRuntimeError,
  type ErrorCode,
  type ErrorOf,
  errors,
  isRuntimeError,
  RuntimeError,
} from 'tbcoin-engine'
import { describe, expectTypeOf, it } from 'vitest'

/** Told apart by the literal code. */
function explain(error: AnyRuntimeError): string {
  switch (error.code) {
    case 'ERR_DEADLINE_EXCEEDED':
      expectTypeOf(error).toEqualTypeOf<ErrorOf<'ERR_DEADLINE_EXCEEDED'>>()
      expectTypeOf(error.stage).toEqualTypeOf<'queued' | 'in-flight' | undefined>()
      return 'late'
    case 'ERR_OVERLOADED':
      expectTypeOf(error.retryAfterMs).toEqualTypeOf<number | undefined>()
      return 'later'
    default:
      expectTypeOf(error.code).toEqualTypeOf<Exclude<ErrorCode, 'ERR_DEADLINE_EXCEEDED' | 'ERR_OVERLOADED'>>()
      // @ts-expect-error these codes have been dealt with above
      return error.code === 'ERR_OVERLOADED' ? '' : error.message
  }
}

describe('errors', () => {
  it('narrow in a switch over their code', () => {
    expectTypeOf(explain).returns.toEqualTypeOf<string>()
  })

  it('narrow by isRuntimeError', () => {
    const thrown: unknown = undefined
    // @ts-expect-error nothing is known of it yet
    void thrown?.code
    if (isRuntimeError(thrown)) {
      expectTypeOf(thrown).toEqualTypeOf<AnyRuntimeError>()
      expectTypeOf(thrown.code).toEqualTypeOf<ErrorCode>()
      expectTypeOf(thrown.retryable).toEqualTypeOf<boolean>()
      // @ts-expect-error no such code
      void (thrown.code === 'ERR_NO_SUCH')
    }
  })

  it('are made by the class of their code', () => {
    const error = new errors.ERR_MODEL_NOT_FOUND('no', { model: 'vad' })
    expectTypeOf(error.code).toEqualTypeOf<'ERR_MODEL_NOT_FOUND'>()
    expectTypeOf(error).toExtend<RuntimeError>()
    expectTypeOf(error).toExtend<Error>()
    expectTypeOf(errors.ERR_ABORTED.code).toEqualTypeOf<'ERR_ABORTED'>()
    // @ts-expect-error no such code
    void errors.ERR_NO_SUCH
    // @ts-expect-error no such field
    new errors.ERR_ABORTED('no', { mdoel: 'vad' })
    // @ts-expect-error stages are two
    new errors.ERR_DEADLINE_EXCEEDED('no', { stage: 'later' })
  })

  it('narrow by instanceof to their code', () => {
    const thrown: unknown = undefined
    if (thrown instanceof errors.ERR_WARMUP) expectTypeOf(thrown.code).toEqualTypeOf<'ERR_WARMUP'>()
    if (thrown instanceof RuntimeError) expectTypeOf(thrown.code).toEqualTypeOf<ErrorCode>()
  })

  it('cannot be written to', () => {
    const error = new errors.ERR_ABORTED('no')
    // @ts-expect-error read-only
    error.retryable = true
    // @ts-expect-error read-only
    error.code = 'ERR_ABORTED'
  })
})
