import { stat } from 'node:fs/promises'
import { errors } from '../errors.js'
import { asRuntimeError } from '../protocol/error-codec.js'
import { createPool } from './create-pool.js'
import type { ModelVersion } from './model-version.js'
import { verifyHash } from './repository.js'
import { assertOpen, type Serving } from './serving.js'
import { drainTimeoutOf, endPool } from './take-down.js'

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
    await serving.loadLane.add(() => startPool(serving, version))
    assertOpen(serving)
    version.readySinceMs = performance.now()
    machine.to('ready', trigger)
  } catch (thrown) {
    const error = loadError(version, thrown)
    // Else the runtime is being closed, and the version is on its way to `stopped`.
    if (!machine.is('initializing')) assertOpen(serving)
    else {
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

async function startPool(serving: Serving, version: ModelVersion): Promise<void> {
  assertOpen(serving)
  await checkSource(version)
  assertOpen(serving)
  const before = await serving.meter.read()
  const pool = createPool(serving, version, (cause) => failed(serving, version, cause))
  version.pool = pool
  try {
    version.signature = await serving.reclaimer.whileLoading(() => pool.start())
    const after = await serving.meter.read()
    version.loadedBytes = Math.max(0, after.pssBytes - before.pssBytes)
  } catch (error) {
    // It has stopped by itself, but for a load that does not return.
    void endPool(serving, pool, 0, () => error as Error)
    throw error
  }
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

/** Replicas keep dying: the version goes to `error`; what still runs comes to its end. */
function failed(serving: Serving, version: ModelVersion, cause: Error): void {
  const { pool } = version
  // A drain under way sees the pool off itself.
  if (pool === undefined || version.machine.is('stopping')) return
  version.pool = undefined
  version.machine.to('error', 'crash budget', cause)
  void endPool(serving, pool, drainTimeoutOf(serving, version), () => cause)
}
