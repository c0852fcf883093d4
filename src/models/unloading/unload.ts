import type { StuckReplica } from '../../pools/settings/stuck-replica.js'
import type { ModelContext } from '../context/model-context.js'
import type { DrainReport } from '../version/drain.js'
import type { ModelVersion } from '../version/model-version.js'

/** The result of an unload or an eviction. */
export interface UnloadReport {
  /** Name of the model. */
  readonly name: string
  /** Labels of the versions whose pools have ended. */
  readonly versions: readonly string[]
  /** Decrease of the process's memory (Pss), in bytes, whatever caused it; never negative. */
  readonly bytesReturned: number
  /** Duration of the whole unload. */
  readonly durationMs: number
  /** Number of requests that did not finish in time and were rejected. */
  readonly rejected: number
  /** Replicas whose run has not returned; their threads are abandoned, not terminated. */
  readonly stuck: readonly StuckReplica[]
}

/** An unload under way; all its versions are `stopping`. */
export interface Unloading {
  /** Resolves when no request is left, so that the lane of the model may be left. */
  readonly empty: Promise<unknown>
  /** Resolves when the threads have ended or are abandoned. */
  readonly report: Promise<UnloadReport>
}

/** Drains `versions` of one model, and measures the memory of the process before and after. */
export function unload(
  context: ModelContext,
  name: string,
  versions: readonly ModelVersion[],
  trigger: string,
): Unloading {
  const report = drainMeasured(context, name, versions, trigger)
  // The report may reject before the caller awaits it, which would be an unhandled rejection.
  report.catch(() => undefined)
  return { empty: Promise.all(versions.map(({ pool }) => pool?.whenEmpty())), report }
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
