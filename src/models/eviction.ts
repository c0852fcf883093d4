import type { StuckReplica } from '../pools/replica.js'
import type { Catalogue } from './catalogue.js'
import type { ModelVersion } from './model-version.js'
import type { Serving } from './serving.js'
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

/** Ends the pools of `versions` at once; what else happens to the versions is the caller's. */
export async function giveBack(
  serving: Serving,
  name: string,
  versions: readonly ModelVersion[],
  trigger: string,
): Promise<UnloadReport> {
  const startedAt = performance.now()
  const before = await serving.meter.read()
  const reports = await Promise.all(
    versions.map((version) => takeDown(serving, version, trigger, drainTimeoutOf(serving, version))),
  )
  const after = await serving.meter.read()
  return {
    name,
    versions: versions.map((version) => version.spec.version),
    bytesReturned: Math.max(0, before.pssBytes - after.pssBytes),
    durationMs: performance.now() - startedAt,
    rejected: reports.reduce((sum, report) => sum + report.rejected, 0),
    stuck: reports.flatMap((report) => report.stuck),
  }
}

/**
 * Takes the pools of versions away that nobody has used for `maxAgeMs(version)`; undefined
 * is never. They stay known, cold, and come back with the next request.
 */
export async function evictIdle(
  serving: Serving,
  catalogue: Catalogue,
  maxAgeMs: (version: ModelVersion) => number | undefined,
  trigger: string,
): Promise<UnloadReport[]> {
  const isIdle = (version: ModelVersion): boolean => {
    const limitMs = maxAgeMs(version)
    if (limitMs === undefined || !version.machine.is('ready', 'running')) return false
    return version.usage.open === 0 && version.idleMs(performance.now()) >= limitMs
  }
  const reports: UnloadReport[] = []
  for (const candidate of catalogue.versions().filter(isIdle)) {
    const report = await catalogue.get(candidate.spec.name)?.lane.add(async () => {
      // Asked again at the last moment: nothing comes between this and `stopping`.
      if (!isIdle(candidate)) return undefined
      clearTimeout(candidate.standbyTimer)
      candidate.machine.to('stopping', trigger)
      return giveBack(serving, candidate.spec.name, [candidate], trigger)
    })
    if (report !== undefined) reports.push(report)
  }
  return reports
}
