import { errors } from '../errors.js'
import type { StuckReplica } from '../pools/replica.js'
import type { VersionPool } from '../pools/version-pool.js'
import { within } from '../pools/within.js'
import type { ModelVersion } from './model-version.js'
import type { Serving } from './serving.js'

export interface DrainReport {
  readonly name: string
  readonly version: string
  readonly durationMs: number
  /** Requests that were not answered in time and were rejected. */
  readonly rejected: number
  /** Replicas whose run has not returned; they are left to themselves. */
  readonly stuck: readonly StuckReplica[]
}

/** Time for sessions to be released and threads to end, however long the drain took. */
const MIN_STOP_MS = 1_000
const NOTHING_LEFT: PoolEnding = { rejected: 0, stuck: [] }

export interface PoolEnding {
  readonly rejected: number
  readonly stuck: readonly StuckReplica[]
}

/**
 * Ends a pool: admits nothing more, waits for its requests, releases the sessions, ends the
 * threads. After `timeoutMs` what is left is rejected with `lateError` and reported; a
 * running replica is never terminated.
 */
export async function endPool(
  pool: VersionPool,
  timeoutMs: number,
  lateError: () => Error,
): Promise<PoolEnding> {
  const startedAtMs = performance.now()
  const isDrained = await within(
    pool.drain().then(() => true),
    timeoutMs,
  )
  const rejected = isDrained === undefined ? pool.rejectAll(lateError()) : 0
  const remainingMs = timeoutMs - (performance.now() - startedAtMs)
  const stuck = await pool.stop(isDrained === undefined ? 0 : Math.max(MIN_STOP_MS, remainingMs))
  if (pool.leaseCount > 0) throw new Error(`a pool was stopped with ${pool.leaseCount} requests open`)
  return { rejected, stuck }
}

/** Takes the pool of a version that is `stopping` away: it ends `stopped`. */
export async function takeDown(
  serving: Serving,
  version: ModelVersion,
  trigger: string,
  timeoutMs: number,
  lateError = drainTimeout,
): Promise<DrainReport> {
  const startedAtMs = performance.now()
  const { pool } = version
  const { rejected, stuck } =
    pool === undefined ? NOTHING_LEFT : await endPool(pool, timeoutMs, () => lateError(version, timeoutMs))
  version.pool = undefined
  version.machine.to('stopped', trigger)
  const report = {
    name: version.spec.name,
    version: version.spec.version,
    durationMs: performance.now() - startedAtMs,
    rejected,
    stuck,
  }
  if (rejected > 0 || stuck.length > 0) serving.logger.warn({ ...report }, 'a drain did not end in time')
  return report
}

/** As part of closing everything: whatever the version is doing, it ends within `timeoutMs`. */
export async function closeVersion(
  serving: Serving,
  version: ModelVersion,
  timeoutMs: number,
  lateError: (version: ModelVersion) => Error,
): Promise<DrainReport | undefined> {
  const { machine, pool } = version
  clearTimeout(version.standbyTimer)
  if (machine.is('uninitialized') || (machine.is('error') && pool === undefined))
    machine.to('stopped', 'close')
  if (machine.is('stopped')) return undefined
  if (!machine.is('stopping')) {
    machine.to('stopping', 'close')
    return takeDown(serving, version, 'close', timeoutMs, lateError)
  }
  // It is being drained already, perhaps with more time than there is now.
  const startedAt = performance.now()
  if ((await within(machine.waitFor('stopped'), timeoutMs)) !== undefined) return undefined
  const rejected = pool?.rejectAll(lateError(version)) ?? 0
  const stuck = (await pool?.stop(0)) ?? []
  const { name, version: label } = version.spec
  return { name, version: label, durationMs: performance.now() - startedAt, rejected, stuck }
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
