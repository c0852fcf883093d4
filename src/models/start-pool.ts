import type { Prepared } from '../artifacts/artifacts.js'
import type { MemoryReading } from '../memory/accounting.js'
import type { Reservation } from '../memory/governor.js'
import type { Change } from '../memory/overlap.js'
import type { VersionPool } from '../pools/version-pool.js'
import { createPool } from './create-pool.js'
import type { ModelVersion } from './model-version.js'
import { whileLoading } from './prepare-model.js'
import { replicaCount } from './replica-count.js'
import { assertOpen, inBackground, type Serving } from './serving.js'
import { drainTimeoutOf, endPool } from './take-down.js'

/** A pool for the version, not started yet. It owns `prepared`, and is to be ended in any case. */
export function poolOf(serving: Serving, version: ModelVersion, prepared: Prepared): VersionPool {
  try {
    const pool: VersionPool = createPool(serving, version, prepared, (cause) =>
      failed(serving, version, pool, cause),
    )
    return pool
  } catch (error) {
    inBackground(serving, serving.artifacts.release(prepared), 'the release of an artifact')
    throw error
  }
}

/**
 * Opens the pool with its first replica; its signature is the version's then. The others follow in the
 * background, which is measured, and keeps `room` until they serve or one of them cannot be started.
 */
export async function startPool(
  serving: Serving,
  version: ModelVersion,
  pool: VersionPool,
  prepared: Prepared,
  room: Reservation,
): Promise<void> {
  const { meter } = serving
  let load: Load | undefined
  try {
    load = await serving.loadLane.add(async () => {
      assertOpen(serving)
      load = { change: serving.overlap.begin(), before: await meter.recent() }
      await whileLoading(serving, prepared, () =>
        pool.start((signature) => {
          version.signature = signature
        }),
      )
      return load
    }, prepared.bytes)
  } catch (error) {
    load?.change.end()
    room.release()
    throw error
  }
  growOnCpu(serving, version, pool)
  const completed = complete(serving, version, pool, prepared, load).finally(() => room.release())
  if (pool.servingCount >= pool.wanted) await completed
  else inBackground(serving, completed, 'the measurement of a load')
}

interface Load {
  readonly change: Change
  readonly before: MemoryReading
}

/** Measures what the replicas take, when the first one serves and when all of them do. */
async function complete(
  serving: Serving,
  version: ModelVersion,
  pool: VersionPool,
  prepared: Prepared,
  { change, before }: Load,
): Promise<void> {
  const measure = async (): Promise<number> => {
    const { pssBytes } = await serving.meter.read()
    return Math.max(0, pssBytes - before.pssBytes)
  }
  try {
    version.loadedBytes = await measure()
    if (pool.servingCount < pool.wanted) {
      await pool.whenServing(Number.POSITIVE_INFINITY)
      version.loadedBytes = await measure()
    }
    // Weights that are mapped come in with the runs that read them.
    const isOwn = change.end()
    if (isOwn && prepared.entry === undefined) version.measuredBytes = version.loadedBytes
  } catch {
    // A replica could not be started, which the pool tells, or the pool was stopped.
    change.end()
  }
}

/**
 * Starts the other replicas of a version that was to run on another execution provider, which has one, and
 * runs on the CPU. Not waited for: their loads wait for the end of this one.
 */
function growOnCpu(serving: Serving, version: ModelVersion, pool: VersionPool): void {
  const wanted = replicaCount(serving, version)
  if (wanted <= pool.wanted) return
  pool.resize(wanted).catch((err: unknown) => {
    if (!pool.isOpen) return
    serving.logger.warn({ err, ...version.subject }, 'the other replicas cannot be started')
  })
}

/** Replicas keep dying: the version goes to `error`; what still runs comes to its end. */
function failed(serving: Serving, version: ModelVersion, pool: VersionPool, cause: Error): void {
  // A drain under way sees the pool off itself, and so does what has put another in its place.
  if (version.pool !== pool || version.machine.is('stopping')) return
  version.pool = undefined
  serving.clock.clear(version.idleTimer)
  version.trial?.cancel()
  version.trial = undefined
  const ending = endPool(serving, pool, drainTimeoutOf(serving, version), () => cause)
  inBackground(serving, ending, 'the end of a pool')
  version.machine.to('error', 'crash budget', cause)
}
