import { errors } from '../../errors/errors.js'
import { encodeError } from '../../protocol/error-codec.js'
import type { Failure } from '../../protocol/failure.js'
import type { RunDone, RunResult } from '../../protocol/replica/replica-replies.js'

/** The reply of a thread to a pack, after a check of what arrived. */
export interface PackReply {
  /** The result of each run; undefined if it is missing. */
  readonly results: readonly (RunResult | undefined)[]
  /** The pack's buffer, to be used again. */
  readonly buffer: ArrayBuffer | undefined
  readonly hasBackgroundWork: boolean
  /** True if the thread has read the pack. */
  readonly isRead: boolean
}

/** Returns the checked reply to a pack of `runs` runs; if the thread failed as a whole, each run has failed. */
export function readReply(reply: unknown, runs: number): PackReply {
  const { ok, results, buffer, hasBackgroundWork, error } = (reply ?? {}) as Partial<RunDone> &
    Partial<Failure>
  if (ok === true && Array.isArray(results)) {
    return {
      results,
      buffer: buffer instanceof ArrayBuffer ? buffer : undefined,
      hasBackgroundWork: hasBackgroundWork === true,
      isRead: true,
    }
  }
  const failure: Failure = {
    ok: false,
    error: error ?? encodeError(new errors.ERR_INFERENCE('the thread sent no reply')),
  }
  return {
    results: new Array(runs).fill(failure),
    buffer: undefined,
    hasBackgroundWork: false,
    isRead: false,
  }
}
