import { encodeError } from '../src/protocol/error-codec.js'
import type { Failure } from '../src/protocol/messages.js'

export function failure(error: unknown): Failure {
  return { ok: false, error: encodeError(error) }
}
