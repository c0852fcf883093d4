import { withLimit } from '../async/until-aborted.js'
import { errors, messageOf } from '../errors/errors.js'
import type { Clock } from '../platform/clock.js'
import type { ResourceType } from './resource-type.js'

/**
 * Calls a type's cleaner with a value that its initializer has made.
 * @throws ERR_SHUTDOWN if the cleaner fails, or does not return within `limitMs`.
 */
export async function cleanValue(
  clock: Clock,
  name: string,
  type: ResourceType,
  value: unknown,
  limitMs: number,
): Promise<void> {
  const { cleaner } = type
  if (cleaner === undefined) return
  const timeoutMs = Math.round(limitMs)
  const late = new errors.ERR_SHUTDOWN(
    `the cleaner of resource ${name} has not returned within ${timeoutMs} ms; it was abandoned`,
  )
  try {
    await withLimit(
      clock,
      limitMs,
      (signal) => cleaner(value, { name, signal, timeoutMs }),
      () => late,
    )
  } catch (cause) {
    if (cause === late) throw late
    throw new errors.ERR_SHUTDOWN(`the cleaner of resource ${name} failed: ${messageOf(cause)}`, { cause })
  }
}
