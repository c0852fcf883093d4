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
 * Starts the first replica of the pool and records its signature; resolves when that replica serves. The other
 * replicas start in the background. `reservation` is kept until all of them serve or one of them fails, and the
 * memory that they take is measured.
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
      load = { change: context.measurement.begin(), baseline: await memory.recent() }
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
  else inBackground(context, completed, 'load measurement')
}

interface Load {
  readonly change: Change
  readonly baseline: MemoryReading
}

/** Measures the memory of the replicas, once when the first one serves and again when all of them do. */
async function complete(
  context: ModelContext,
  version: VersionRecord,
  pool: VersionPool,
  prepared: Prepared,
  { change, baseline }: Load,
): Promise<void> {
  const measure = async (): Promise<number> => {
    const { pssBytes } = await context.memory.read()
    return Math.max(0, pssBytes - baseline.pssBytes)
  }
  try {
    version.note({ loadedBytes: await measure() })
    if (pool.servingCount < pool.wanted) {
      await pool.whenServing(Number.POSITIVE_INFINITY)
      version.note({ loadedBytes: await measure() })
    }
    // Mapped weights are excluded: they come into memory with the runs that read them.
    const isExclusive = change.end()
    if (isExclusive && prepared.entry === undefined)
      version.note({ measuredBytes: version.facts.loadedBytes })
  } catch {
    // A replica could not be started, which the pool reports, or the pool was stopped.
    change.end()
  }
}

/**
 * Adds replicas if the version requested another execution provider, with one replica, but runs on the CPU. It does
 * not wait for them, because their loads wait for the end of this one.
 */
function growOnCpu(context: ModelContext, version: VersionRecord, pool: VersionPool): void {
  const wanted = replicaCount(context, version)
  if (wanted <= pool.wanted) return
  pool.resize(wanted).catch((err: unknown) => {
    if (!pool.isOpen) return
    context.logger.warn({ err, ...version.subject }, 'replicas not added')
  })
}
