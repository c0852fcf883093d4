import { artifactStatsOf } from '../artifacts/artifact-stats.js'
import { errors } from '../errors.js'
import type { VersionPool } from '../pools/version-pool.js'
import { asRuntimeError } from '../protocol/error-codec.js'
import { NOTHING_TRIED } from '../tensors/empty-axes.js'
import { checkSource, hasBuiltInLoader } from './check-source.js'
import { watchIdle } from './eviction.js'
import { reserveRoom } from './memory-room.js'
import type { ModelVersion } from './model-version.js'
import { prepareModel } from './prepare-model.js'
import { tryArtifactLater } from './renew-pool.js'
import { checkReplicas } from './replica-count.js'
import { assertOpen, inBackground, type Serving } from './serving.js'
import { poolOf, startPool } from './start-pool.js'
import { endPool } from './take-down.js'

/**
 * Gives a cold or failed version a pool: it ends `ready`, with one replica that serves and the others
 * on their way, or in `error` with the reason thrown. To be called in the model's lane.
 */
export async function bringUp(serving: Serving, version: ModelVersion, trigger: string): Promise<void> {
  const { machine, files } = version
  if (machine.is('stopping')) await machine.waitFor('stopped')
  assertOpen(serving)
  machine.to('initializing', trigger)
  let pool: VersionPool | undefined
  try {
    checkReplicas(serving, version)
    await checkSource(serving, version)
    assertOpen(serving)
    const prepared = await prepareModel(serving, version)
    version.emptyAxes = hasBuiltInLoader(serving, version) ? (prepared.emptyAxes ?? NOTHING_TRIED) : undefined
    pool = poolOf(serving, version, prepared)
    assertOpen(serving)
    version.pool = pool
    const room = await reserveRoom(serving, version, prepared)
    await startPool(serving, version, pool, prepared, room)
    assertOpen(serving)
    // Its replicas have died meanwhile, more often than they may.
    if (version.pool !== pool) throw machine.cause
    version.artifact = artifactStatsOf(prepared)
    version.readySinceMs = serving.clock.now()
    version.isKept = true
    machine.to('ready', trigger)
    tryArtifactLater(serving, version, prepared)
    watchIdle(serving, version)
  } catch (thrown) {
    version.resetFiles(files)
    const error = loadError(version, thrown)
    if (pool !== undefined) {
      if (version.pool === pool) version.pool = undefined
      inBackground(
        serving,
        endPool(serving, pool, 0, () => error),
        'the end of a pool',
      )
    }
    // Else the runtime is being closed, and the version is on its way to `stopped`.
    if (!machine.is('initializing')) assertOpen(serving)
    else if (error instanceof errors.ERR_INSUFFICIENT_MEMORY) {
      // Nothing is wrong with it: it stays cold.
      machine.to('stopping', trigger, error)
      machine.to('stopped', trigger, error)
    } else {
      version.failedAtMs = serving.clock.now()
      machine.to('error', trigger, error)
      if (!version.isKept) serving.catalogue.keepFailed(version)
    }
    throw error
  }
}

/** As what a load rejects with `thrown`. */
export function loadError(version: ModelVersion, thrown: unknown): Error {
  const { name, version: label } = version.spec
  if (!(thrown instanceof errors.ERR_REPLICA_EXITED)) {
    return asRuntimeError('ERR_MODEL_LOAD', `${name}@${label} cannot be loaded`, thrown, version.subject)
  }
  return new errors.ERR_MODEL_LOAD(
    `${name}@${label} cannot be loaded, its thread died meanwhile: ${thrown.message}`,
    { ...version.subject, cause: thrown },
  )
}
