import { decodeError } from '../protocol/error-codec.js'
import type { Failure } from '../protocol/messages.js'

/** @throws what the builder has failed with. */
export function done<T extends { readonly ok: true }>(reply: T | Failure): T {
  if (!reply.ok) throw decodeError(reply.error)
  return reply
}
