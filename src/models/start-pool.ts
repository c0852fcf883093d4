import type { Prepared } from '../artifacts/artifacts.js'
import type { VersionPool } from '../pools/version-pool.js'
import { createPool } from './create-pool.js'
import type { ModelVersion } from './model-version.js'
import { whileLoading } from './prepare-model.js'
import type { Serving } from './serving.js'
import { drainTimeoutOf, endPool } from './take-down.js'

/** A pool for the version, not started yet. */
export function poolOf(serving: Serving, version: ModelVersion, prepared: Prepared): VersionPool {
  const pool: VersionPool = createPool(serving, version, prepared, (cause) =>
    failed(serving, version, pool, cause),
  )
  serving.prepared.set(pool, prepared)
  return pool
}

/** Starts its threads, and measures what they take; its signature is the version's then. To be called in the lane of loads. */
export async function startPool(serving: Serving, version: ModelVersion, pool: VersionPool): Promise<void> {
  const change = serving.overlap.begin()
  const before = await serving.meter.recent()
  try {
    await whileLoading(serving, serving.prepared.get(pool), () =>
      pool.start((signature) => {
        version.signature = signature
      }),
    )
    const after = await serving.meter.read()
    version.loadedBytes = Math.max(0, after.pssBytes - before.pssBytes)
    // Weights that are mapped come in with the runs that read them.
    const isOwn = change.end()
    if (isOwn && serving.prepared.get(pool)?.entry === undefined) version.measuredBytes = version.loadedBytes
  } catch (error) {
    change.end()
    // It has stopped by itself, but for a load that does not return.
    void endPool(serving, pool, 0, () => error as Error)
    throw error
  }
}

/** Replicas keep dying: the version goes to `error`; what still runs comes to its end. */
function failed(serving: Serving, version: ModelVersion, pool: VersionPool, cause: Error): void {
  // A drain under way sees the pool off itself, and so does what has put another in its place.
  if (version.pool !== pool || version.machine.is('stopping')) return
  version.pool = undefined
  version.machine.to('error', 'crash budget', cause)
  void endPool(serving, pool, drainTimeoutOf(serving, version), () => cause)
}
