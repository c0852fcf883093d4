import { stat } from 'node:fs/promises'
import type { Prepared } from '../../artifacts/artifacts.js'
import { errors } from '../../errors/errors.js'
import { NoRoom, type Reservation } from '../../memory/memory-budget.js'
import type { ModelContext } from '../context/model-context.js'
import type { VersionRecord } from '../context/version-record.js'
import { replicaCount } from './replica-count.js'

/** Estimated memory of one replica besides the weights: the thread with its heap, and the session. */
const REPLICA_BYTES = 12 * 2 ** 20
const MIB = 2 ** 20

/**
 * Reserves memory for a load in the budget.
 * @param makeRoom frees memory of unused versions; resolves with false if there is none to free.
 * @throws ERR_INSUFFICIENT_MEMORY
 */
export async function reserveMemory(
  context: ModelContext,
  version: VersionRecord,
  { entry, bytes }: Prepared,
  makeRoom: () => Promise<boolean>,
): Promise<Reservation> {
  const { memoryBudget, hold } = context
  const neededBytes =
    version.facts.measuredBytes ??
    estimateBytes(
      bytes ?? (await sizeOf(version.spec.source)),
      replicaCount(context, version),
      entry !== undefined,
    )
  try {
    return await hold(
      'memory',
      (held: () => Promise<boolean>) => memoryBudget.reserve(neededBytes, held),
      makeRoom,
    )
  } catch (cause) {
    if (!(cause instanceof NoRoom)) throw cause
    const { freeBytes } = cause
    const { budgetBytes } = memoryBudget.stats()
    throw new errors.ERR_INSUFFICIENT_MEMORY(
      `${version.label} needs about ${mib(neededBytes)}, but only ${mib(freeBytes)} of the memory budget of ${mib(budgetBytes)} (memory.budgetBytes) are free and nothing is left to evict; unload a model, raise the budget or reduce its replicas`,
      { ...version.subject, neededBytes, freeBytes },
    )
  }
}

/** Returns the estimated memory of a pool, for use before one has been measured. */
export function estimateBytes(modelBytes: number, replicas: number, isMapped: boolean): number {
  // Every session has a copy of weights that are not mapped, and a load holds the content of the file once more.
  const copies = isMapped ? 1 : replicas + 1
  return copies * modelBytes + replicas * REPLICA_BYTES
}

/** Returns the size of a file, or 0 for a folder, of which a loader may read any part. */
async function sizeOf(path: string): Promise<number> {
  const stats = await stat(path)
  return stats.isFile() ? stats.size : 0
}

function mib(bytes: number): string {
  return `${Math.ceil(bytes / MIB)} MiB`
}
