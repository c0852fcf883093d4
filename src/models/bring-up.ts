import { stat } from 'node:fs/promises'
import { artifactStatsOf } from '../artifacts/artifact-stats.js'
import { errors } from '../errors.js'
import { asRuntimeError } from '../protocol/error-codec.js'
import { watchIdle } from './eviction.js'
import { reserveRoom } from './memory-room.js'
import type { ModelVersion } from './model-version.js'
import { prepareModel } from './prepare-model.js'
import { tryArtifactLater } from './renew-pool.js'
import { verifyHash } from './repository.js'
import { assertOpen, type Serving } from './serving.js'
import { poolOf, startPool } from './start-pool.js'

/**
 * Gives a cold or failed version a pool: it ends `ready`, or in `error` with the reason
 * thrown. To be called in the model's lane.
 */
export async function bringUp(serving: Serving, version: ModelVersion, trigger: string): Promise<void> {
  const { machine } = version
  if (machine.is('stopping')) await machine.waitFor('stopped')
  assertOpen(serving)
  machine.to('initializing', trigger)
  try {
    await checkSource(version)
    assertOpen(serving)
    const prepared = await prepareModel(serving, version)
    const room = await reserveRoom(serving, version, prepared).catch((error) => {
      void serving.artifacts.release(prepared)
      throw error
    })
    try {
      await serving.loadLane.add(async () => {
        assertOpen(serving)
        version.pool = poolOf(serving, version, prepared)
        version.artifact = artifactStatsOf(prepared)
        await startPool(serving, version, version.pool)
      }, prepared.bytes)
    } finally {
      room.release()
    }
    assertOpen(serving)
    version.readySinceMs = performance.now()
    machine.to('ready', trigger)
    tryArtifactLater(serving, version, prepared)
    watchIdle(serving, version)
  } catch (thrown) {
    const error = loadError(version, thrown)
    // Else the runtime is being closed, and the version is on its way to `stopped`.
    if (!machine.is('initializing')) assertOpen(serving)
    else if (error instanceof errors.ERR_INSUFFICIENT_MEMORY) {
      // Nothing is wrong with it: it stays cold.
      machine.to('stopping', trigger, error)
      machine.to('stopped', trigger, error)
    } else {
      version.pool = undefined
      version.failedAtMs = performance.now()
      machine.to('error', trigger, error)
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

/** Before a thread is started: a missing or damaged file needs none. */
async function checkSource(version: ModelVersion): Promise<void> {
  const { source, sha256 } = version.spec
  await stat(source).catch((cause: NodeJS.ErrnoException) => {
    const reason = cause.code === 'ENOENT' ? 'there is no such file' : cause.message
    throw new errors.ERR_MODEL_LOAD(`${source} cannot be loaded: ${reason}`, { ...version.subject, cause })
  })
  if (sha256 !== undefined) await verifyHash(source, sha256, version.subject)
}
