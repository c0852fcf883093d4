import type PQueue from 'p-queue'
import type { StuckReplica } from '../pools/replica.js'
import type { ModelVersion } from './model-version.js'
import { inBackground, type Serving } from './serving.js'
import { drainTimeoutOf, takeDown } from './take-down.js'

export interface UnloadReport {
  readonly name: string
  /** The versions that gave up their pool. */
  readonly versions: readonly string[]
  /** How much less this process holds than before, measured over the whole process; never negative. */
  readonly bytesReturned: number
  readonly durationMs: number
  /** Requests that were not answered in time and were rejected. */
  readonly rejected: number
  /** Replicas whose run has not returned. */
  readonly stuck: readonly StuckReplica[]
}

/**
 * Ends the pools of `versions`, which are `stopping`. Resolves when they have no request left: then the
 * lane of the model is free again. The report follows when their threads are gone, or are given up.
 */
export async function giveBack(
  serving: Serving,
  name: string,
  versions: readonly ModelVersion[],
  trigger: string,
): Promise<{ report: Promise<UnloadReport> }> {
  const report = endAll(serving, name, versions, trigger)
  // Before it is awaited it may have failed.
  report.catch(() => undefined)
  await Promise.all(versions.map(({ pool }) => pool?.drain()))
  return { report }
}

async function endAll(
  serving: Serving,
  name: string,
  versions: readonly ModelVersion[],
  trigger: string,
): Promise<UnloadReport> {
  const startedAt = serving.clock.now()
  const isWhole = versions.every(({ pool }) => pool === undefined || pool.servingCount >= pool.wanted)
  const change = serving.overlap.begin()
  const before = await serving.meter.recent()
  const reports = await Promise.all(
    versions.map((version) => takeDown(serving, version, trigger, drainTimeoutOf(serving, version))),
  )
  const after = await serving.meter.read()
  const bytesReturned = Math.max(0, before.pssBytes - after.pssBytes)
  const [only, ...others] = versions
  const isAlone = change.end()
  if (isAlone && isWhole && only !== undefined && others.length === 0) {
    only.measuredBytes = Math.max(bytesReturned, only.loadedBytes ?? 0)
  }
  return {
    name,
    versions: versions.map((version) => version.spec.version),
    bytesReturned,
    durationMs: serving.clock.now() - startedAt,
    rejected: reports.reduce((sum, report) => sum + report.rejected, 0),
    stuck: reports.flatMap((report) => report.stuck),
  }
}

/**
 * Takes the pools of versions away that nobody has used for `maxAgeMs(version)`; undefined
 * is never. They stay known, cold, and come back with the next request; those that are to keep some
 * replicas keep them.
 */
export async function evictIdle(
  serving: Serving,
  maxAgeMs: (version: ModelVersion) => number | undefined,
  trigger: string,
): Promise<UnloadReport[]> {
  const isIdle = (version: ModelVersion): boolean => {
    const limitMs = maxAgeMs(version)
    return limitMs !== undefined && isUnused(version) && version.idleMs(serving.clock.now()) >= limitMs
  }
  const reports: UnloadReport[] = []
  for (const candidate of serving.catalogue.versions().filter(isIdle)) {
    const { minReplicas } = candidate.spec.config
    if (minReplicas !== undefined) {
      candidate.shrink(minReplicas)
      continue
    }
    const report = await evict(serving, candidate, () => isIdle(candidate), trigger)
    if (report !== undefined) reports.push(report)
  }
  return reports
}

/** How long a version may be unused before it is evicted; undefined is for good. */
export function idleLimitOf({ config }: Serving, { spec }: ModelVersion): number | undefined {
  const limitMs = spec.config.modelIdleMs ?? config.modelIdleMs
  return limitMs === 0 ? undefined : limitMs
}

/** Has a version evicted as soon as it is unused for so long, not only when all are looked through. */
export function watchIdle(serving: Serving, version: ModelVersion): void {
  serving.clock.clear(version.idleTimer)
  const limitMs = idleLimitOf(serving, version)
  if (limitMs === undefined || serving.config.modelCleanupIntervalMs === 0) return
  const leftMs = limitMs - (version.usage.open > 0 ? 0 : version.idleMs(serving.clock.now()))
  version.idleTimer = serving.clock
    .setTimeout(
      () => {
        const maxAgeMs = (other: ModelVersion): number | undefined =>
          other === version ? limitMs : undefined
        const looked = evictIdle(serving, maxAgeMs, 'idle').then(() => {
          if (version.machine.is('ready', 'running')) watchIdle(serving, version)
        })
        inBackground(serving, looked, 'an eviction')
      },
      // One that stays although it is unused is looked at again when it could have been used.
      leftMs > 0 ? leftMs : limitMs,
    )
    .unref()
}

/** Evicts what nobody uses and was not used for longest, of other models; false if there is nothing. */
export async function evictLeastRecentlyUsed(serving: Serving, model: string): Promise<boolean> {
  const nowMs = serving.clock.now()
  // Not one whose model is being changed: to wait for that could be to wait for oneself.
  const isFree = (version: ModelVersion): boolean =>
    isUnused(version) && version.spec.config.minReplicas === undefined && isQuiet(version.lane)
  const [oldest] = serving.catalogue
    .versions()
    .filter((version) => version.spec.name !== model && isFree(version))
    .sort((a, b) => b.idleMs(nowMs) - a.idleMs(nowMs))
  if (oldest === undefined) return false
  await evict(serving, oldest, () => isUnused(oldest), 'memory')
  return true
}

/** Evicts `version` if `mayGo()` once its lane is free: no await separates that check from the move to `stopping`. */
async function evict(
  serving: Serving,
  version: ModelVersion,
  mayGo: () => boolean,
  trigger: string,
): Promise<UnloadReport | undefined> {
  const { report } = await version.lane.add(async () => {
    if (!mayGo()) return { report: undefined }
    serving.clock.clear(version.standbyTimer)
    version.machine.to('stopping', trigger)
    return giveBack(serving, version.spec.name, [version], trigger)
  })
  return report
}

/** It has a pool, no request, and is not to stay. */
function isUnused({ machine, usage, spec }: ModelVersion): boolean {
  return machine.is('ready', 'running') && usage.open === 0 && spec.config.pinned !== true
}

function isQuiet({ size, pending }: PQueue): boolean {
  return size + pending === 0
}
