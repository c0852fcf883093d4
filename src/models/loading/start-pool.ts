import type { Prepared } from '../../artifacts/artifacts.js'
import type { Change } from '../../memory/exclusive-measurement.js'
import type { Reservation } from '../../memory/memory-budget.js'
import type { MemoryReading } from '../../platform/process-memory.js'
import type { VersionPool } from '../../pools/version-pool.js'
import { inBackground } from '../../telemetry/in-background.js'
import { assertOpen, type ModelContext } from '../context/model-context.js'
import type { VersionRecord } from '../context/version-record.js'
import { inLoadLane, whileLoading } from './prepare-load.js'
import { replicaCount } from './replica-count.js'

/**
 * Opens the pool with its first replica; its signature is the version's then. The others follow in the
 * background, which is measured, and keeps `room` until they serve or one of them cannot be started.
 */
export async function startPool(
  context: ModelContext,
  version: VersionRecord,
  pool: VersionPool,
  prepared: Prepared,
  reservation: Reservation,
): Promise<void> {
  const { memory } = context
  let load: Load | undefined
  try {
    load = await inLoadLane(context, prepared, async () => {
      assertOpen(context)
      load = { change: context.measurement.begin(), before: await memory.recent() }
      await whileLoading(context, prepared, () =>
        pool.start((signature) => {
          version.note({ signature })
        }),
      )
      return load
    })
  } catch (error) {
    load?.change.end()
    reservation.release()
    throw error
  }
  growOnCpu(context, version, pool)
  const completed = complete(context, version, pool, prepared, load).finally(() => reservation.release())
  if (pool.servingCount >= pool.wanted) await completed
  else inBackground(context, completed, 'the measurement of a load')
}

interface Load {
  readonly change: Change
  readonly before: MemoryReading
}

/** Measures what the replicas take, when the first one serves and when all of them do. */
async function complete(
  context: ModelContext,
  version: VersionRecord,
  pool: VersionPool,
  prepared: Prepared,
  { change, before }: Load,
): Promise<void> {
  const measure = async (): Promise<number> => {
    const { pssBytes } = await context.memory.read()
    return Math.max(0, pssBytes - before.pssBytes)
  }
  try {
    version.note({ loadedBytes: await measure() })
    if (pool.servingCount < pool.wanted) {
      await pool.whenServing(Number.POSITIVE_INFINITY)
      version.note({ loadedBytes: await measure() })
    }
    // Weights that are mapped come in with the runs that read them.
    const isExclusive = change.end()
    if (isExclusive && prepared.entry === undefined)
      version.note({ measuredBytes: version.facts.loadedBytes })
  } catch {
    // A replica could not be started, which the pool tells, or the pool was stopped.
    change.end()
  }
}

/**
 * Starts the other replicas of a version that was to run on another execution provider, which has one, and
 * runs on the CPU. Not waited for: their loads wait for the end of this one.
 */
function growOnCpu(context: ModelContext, version: VersionRecord, pool: VersionPool): void {
  const wanted = replicaCount(context, version)
  if (wanted <= pool.wanted) return
  pool.resize(wanted).catch((err: unknown) => {
    if (!pool.isOpen) return
    context.logger.warn({ err, ...version.subject }, 'the other replicas cannot be started')
  })
}
