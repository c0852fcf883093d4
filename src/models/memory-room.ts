import { stat } from 'node:fs/promises'
import type { Prepared } from '../artifacts/artifacts.js'
import { errors } from '../errors.js'
import { NoRoom, type Reservation } from '../memory/governor.js'
import { evictLeastRecentlyUsed } from './eviction.js'
import type { ModelVersion } from './model-version.js'
import { replicaCount } from './replica-count.js'
import type { Serving } from './serving.js'

/** A thread with its heap, and what its session takes beside the weights. */
const REPLICA_BYTES = 12 * 2 ** 20
const MIB = 2 ** 20

/**
 * Reserves room for a load, for which versions that nobody uses are evicted, those first that were not
 * used for longest.
 * @throws ERR_INSUFFICIENT_MEMORY
 */
export async function reserveRoom(
  serving: Serving,
  version: ModelVersion,
  { entry, bytes }: Prepared,
): Promise<Reservation> {
  const { governor } = serving
  const neededBytes =
    version.measuredBytes ??
    estimateBytes(
      bytes ?? (await sizeOf(version.spec.source)),
      replicaCount(serving, version),
      entry !== undefined,
    )
  try {
    return await governor.reserve(neededBytes, () => makeRoom(serving, version.spec.name))
  } catch (cause) {
    if (!(cause instanceof NoRoom)) throw cause
    const { freeBytes } = cause
    const { budgetBytes } = governor.stats()
    throw new errors.ERR_INSUFFICIENT_MEMORY(
      `${version.spec.name}@${version.spec.version} needs about ${mib(neededBytes)}, and of the budget of ${mib(budgetBytes)} (memory.budgetBytes) ${mib(freeBytes)} are free, with nothing left to evict; unload a model, raise the budget or give it fewer replicas`,
      { ...version.subject, neededBytes, freeBytes },
    )
  }
}

/** Waits for memory that is about to come back, else evicts; false if there is nothing to do either with. */
async function makeRoom(serving: Serving, model: string): Promise<boolean> {
  if (serving.departures.size === 0) return evictLeastRecentlyUsed(serving, model)
  await Promise.race(serving.departures)
  await serving.memory.read()
  return true
}

/** What a pool will take, before anybody has measured it. */
export function estimateBytes(modelBytes: number, replicas: number, isMapped: boolean): number {
  // Weights that are not mapped lie in every session, and while it is loaded in the file's text once more.
  const copies = isMapped ? 1 : replicas + 1
  return copies * modelBytes + replicas * REPLICA_BYTES
}

/** Of a file; of a folder nobody knows what a loader takes of it. */
async function sizeOf(path: string): Promise<number> {
  const stats = await stat(path)
  return stats.isFile() ? stats.size : 0
}

function mib(bytes: number): string {
  return `${Math.ceil(bytes / MIB)} MiB`
}
