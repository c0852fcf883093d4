import type { StuckReplica } from '../../pools/settings/stuck-replica.js'
import type { ModelContext } from '../context/model-context.js'
import type { DrainReport } from '../version/drain.js'
import type { ModelVersion } from '../version/model-version.js'

export interface UnloadReport {
  readonly name: string
  /** The versions that gave up their pool. */
  readonly versions: readonly string[]
  /** The memory that this process holds less than before, measured over the whole process; never negative. */
  readonly bytesReturned: number
  readonly durationMs: number
  /** Requests that were not answered in time and were rejected. */
  readonly rejected: number
  /** Replicas whose run has not returned. */
  readonly stuck: readonly StuckReplica[]
}

/** An unload under way: all its versions are `stopping`. */
export interface Unloading {
  /** Resolves when no request is left: the lane of the model need not be held any longer. */
  readonly empty: Promise<unknown>
  /** Resolves when the threads are gone, or are given up. */
  readonly report: Promise<UnloadReport>
}

/** Drains `versions` of one model, and measures what the process holds before and after. */
export function unload(
  context: ModelContext,
  name: string,
  versions: readonly ModelVersion[],
  trigger: string,
): Unloading {
  const report = drainMeasured(context, name, versions, trigger)
  // It may fail before the caller awaits it.
  report.catch(() => undefined)
  return { empty: Promise.all(versions.map(({ pool }) => pool?.empty())), report }
}

async function drainMeasured(
  { clock, memory, measurement }: ModelContext,
  name: string,
  versions: readonly ModelVersion[],
  trigger: string,
): Promise<UnloadReport> {
  const startedAtMs = clock.now()
  const isWhole = versions.every(({ pool }) => pool === undefined || pool.servingCount >= pool.wanted)
  const change = measurement.begin()
  let isAlone = false
  let reports: readonly DrainReport[]
  let bytesReturned: number
  try {
    const reading = memory.recent()
    reports = await Promise.all(versions.map((version) => version.drain(trigger, { after: reading })))
    const [before, after] = [await reading, await memory.read()]
    bytesReturned = Math.max(0, before.pssBytes - after.pssBytes)
  } finally {
    isAlone = change.end()
  }
  const [only, ...others] = versions
  if (isAlone && isWhole && only !== undefined && others.length === 0) {
    const { record } = only
    record.note({ measuredBytes: Math.max(bytesReturned, record.facts.loadedBytes ?? 0) })
  }
  return {
    name,
    versions: versions.map((version) => version.spec.version),
    bytesReturned,
    durationMs: clock.now() - startedAtMs,
    rejected: reports.reduce((sum, report) => sum + report.rejected, 0),
    stuck: reports.flatMap((report) => report.stuck),
  }
}
