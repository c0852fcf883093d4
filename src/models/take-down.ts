import { errors } from '../errors.js'
import type { StuckReplica } from '../pools/replica.js'
import type { VersionPool } from '../pools/version-pool.js'
import { within } from '../pools/within.js'
import type { ModelVersion } from './model-version.js'
import { inBackground, type Serving } from './serving.js'

export interface DrainReport {
  readonly name: string
  readonly version: string
  readonly durationMs: number
  /** Requests that were not answered in time and were rejected. */
  readonly rejected: number
  /** Replicas whose run has not returned; they are left to themselves. */
  readonly stuck: readonly StuckReplica[]
}

const NOTHING_LEFT: PoolEnding = { rejected: 0, stuck: [] }

export interface PoolEnding {
  readonly rejected: number
  readonly stuck: readonly StuckReplica[]
}

/**
 * Ends a pool: admits nothing more, waits for its requests, releases the sessions, ends the
 * threads, gives their memory back. After `timeoutMs` what is left is rejected with `lateError` and reported; a
 * running replica is never terminated, and its pool is among the ending ones until it returns.
 */
export async function endPool(
  serving: Serving,
  pool: VersionPool,
  timeoutMs: number,
  lateError: () => Error,
): Promise<PoolEnding> {
  const startedAtMs = serving.clock.now()
  serving.endingPools.add(pool)
  const rejectedBefore = pool.rejected
  const isDrained = await within(
    serving.clock,
    pool.drain().then(() => true),
    timeoutMs,
  )
  if (isDrained === undefined) pool.rejectAll(lateError())
  const remainingMs = timeoutMs - (serving.clock.now() - startedAtMs)
  const departure = stopPool(serving, pool, isDrained === undefined ? 0 : Math.max(0, remainingMs))
  serving.departures.add(departure)
  const stuck = await departure.finally(() => serving.departures.delete(departure))
  return { rejected: pool.rejected - rejectedBefore, stuck }
}

async function stopPool(
  serving: Serving,
  pool: VersionPool,
  timeoutMs: number,
): Promise<readonly StuckReplica[]> {
  const stuck = await pool.stop(timeoutMs)
  const gone = pool.gone().then(() => serving.endingPools.delete(pool))
  inBackground(serving, gone, 'the end of a pool')
  await serving.allocator.reclaim()
  if (stuck.length === 0) await gone.catch(() => undefined)
  if (pool.leaseCount > 0) {
    serving.logger.error({ requests: pool.leaseCount }, 'a pool was stopped with requests open')
  }
  return stuck
}

/** Takes the pool of a version that is `stopping` away: it ends `stopped`. */
export async function takeDown(
  serving: Serving,
  version: ModelVersion,
  trigger: string,
  timeoutMs: number,
  lateError = drainTimeout,
): Promise<DrainReport> {
  const startedAtMs = serving.clock.now()
  const { pool } = version
  version.trial?.cancel()
  version.trial = undefined
  version.fullReplicas = undefined
  serving.clock.clear(version.idleTimer)
  const { rejected, stuck } =
    pool === undefined
      ? NOTHING_LEFT
      : await endPool(serving, pool, timeoutMs, () => lateError(version, timeoutMs))
  version.pool = undefined
  version.machine.to('stopped', trigger)
  const report = {
    name: version.spec.name,
    version: version.spec.version,
    durationMs: serving.clock.now() - startedAtMs,
    rejected,
    stuck,
  }
  if (rejected > 0 || stuck.length > 0) serving.logger.warn({ ...report }, 'a drain did not end in time')
  return report
}

function drainTimeout(version: ModelVersion, timeoutMs: number): Error {
  const { name, version: label } = version.spec
  return new errors.ERR_DRAIN_TIMEOUT(
    `${name}@${label} was being stopped and this request was not answered within ${timeoutMs} ms (drainTimeoutMs)`,
    version.subject,
  )
}

export function drainTimeoutOf(serving: Serving, version: ModelVersion): number {
  return version.spec.config.drainTimeoutMs ?? serving.config.drainTimeoutMs
}
