import { decodeError, type EncodedError, encodeError } from './error-codec.js'

/** The reply of a worker whose task has failed. */
export interface Failure {
  readonly ok: false
  readonly error: EncodedError
}

export function failure(error: unknown): Failure {
  return { ok: false, error: encodeError(error) }
}

/** Returns `reply` if it is a success; throws the error that a failure carries. */
export function successOf<T extends { readonly ok: true }>(reply: T | Failure): T {
  if (!reply.ok) throw decodeError(reply.error)
  return reply
}
