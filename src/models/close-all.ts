import { errors } from '../errors.js'
import { within } from '../pools/within.js'
import type { ModelVersion } from './model-version.js'
import type { Serving } from './serving.js'
import { endPool, type PoolEnding, takeDown } from './take-down.js'

type LateError = (version?: ModelVersion) => Error

/**
 * Ends every pool, whatever its version is doing; requests that are not answered within
 * `timeoutMs` are rejected with ERR_RUNTIME_CLOSED. Reports every thread that is left.
 */
export async function closeAll(serving: Serving, timeoutMs: number): Promise<PoolEnding> {
  serving.artifacts.close()
  serving.trials.close()
  const late = `the runtime was closed and did not wait longer than ${timeoutMs} ms for this request`
  const lateError: LateError = (version) => new errors.ERR_RUNTIME_CLOSED(late, version?.subject)
  const { catalogue } = serving
  const versions = [...catalogue.versions(), ...catalogue.leaving]
  // A version that is stopping sees its pool off itself.
  const others = [...serving.endingPools].filter((pool) => !versions.some((one) => one.pool === pool))
  const rejected = await Promise.all([
    ...versions.map((version) => closeVersion(serving, version, timeoutMs, lateError)),
    ...others.map(async (pool) => (await endPool(serving, pool, timeoutMs, lateError)).rejected),
  ])
  return {
    rejected: rejected.reduce((sum, count) => sum + count, 0),
    stuck: [...serving.endingPools].flatMap((pool) => pool.stuck()),
  }
}

/** How many requests were rejected. */
async function closeVersion(
  serving: Serving,
  version: ModelVersion,
  timeoutMs: number,
  lateError: LateError,
): Promise<number> {
  const { machine, pool } = version
  serving.clock.clear(version.standbyTimer)
  // They wait for a load, which is given up.
  const waiting = version.warming === undefined ? 0 : version.usage.open - (pool?.leaseCount ?? 0)
  if (machine.is('uninitialized') || (machine.is('error') && pool === undefined)) {
    machine.to('stopped', 'close')
  }
  if (machine.is('stopped')) return waiting
  if (!machine.is('stopping')) {
    machine.to('stopping', 'close')
    return waiting + (await takeDown(serving, version, 'close', timeoutMs, lateError)).rejected
  }
  // It is being drained already, perhaps with more time than there is now.
  const rejectedBefore = pool?.rejected ?? 0
  if ((await within(serving.clock, machine.waitFor('stopped'), timeoutMs)) === undefined) {
    pool?.rejectAll(lateError(version))
    await pool?.stop(0)
    await machine.waitFor('stopped')
  }
  return (pool?.rejected ?? 0) - rejectedBefore
}
