import { errors } from '../../errors/errors.js'
import { encodeError } from '../../protocol/error-codec.js'
import type { Failure } from '../../protocol/failure.js'
import type { RunDone, RunResult } from '../../protocol/replica/replica-replies.js'

/** What a thread has answered to a pack, whatever has arrived. */
export interface PackReply {
  /** The result of each run. */
  readonly results: readonly (RunResult | undefined)[]
  /** The pack's buffer, to be used again. */
  readonly buffer: ArrayBuffer | undefined
  readonly hasBackgroundWork: boolean
  /** Whether the thread has read the pack. */
  readonly isRead: boolean
}

/** Reads the reply to a pack of so many runs; a thread that failed as a whole has failed in each. */
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
    error: error ?? encodeError(new errors.ERR_INFERENCE('no reply came')),
  }
  return {
    results: new Array(runs).fill(failure),
    buffer: undefined,
    hasBackgroundWork: false,
    isRead: false,
  }
}
