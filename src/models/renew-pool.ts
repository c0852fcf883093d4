import { artifactStatsOf } from '../artifacts/artifact-stats.js'
import type { Prepared } from '../artifacts/artifacts.js'
import { MAX_TIMER_MS } from '../config.js'
import type { VersionPool } from '../pools/version-pool.js'
import { modelSubject } from '../telemetry/subject.js'
import type { Tensor } from '../tensors/tensor.js'
import { ArtifactTrial } from './artifact-trial.js'
import { reserveRoom } from './memory-room.js'
import type { ModelVersion } from './model-version.js'
import { inBackground, type Serving } from './serving.js'
import { poolOf, startPool } from './start-pool.js'
import { endPool } from './take-down.js'

/**
 * Where no valid input was known when a version was loaded: builds its artifact from the first requests
 * that are answered, then gives the version a pool that loads it. Requests notice nothing: those that
 * are admitted are answered by the pool they are in.
 */
export function tryArtifactLater(serving: Serving, version: ModelVersion, prepared: Prepared): void {
  const { build } = prepared
  const { pool } = version
  version.trial?.cancel()
  version.trial = undefined
  if (build === undefined) return
  const adopt = async (samples: readonly (readonly Tensor[])[]): Promise<void> => {
    version.trial = undefined
    const log = serving.logger.child({ component: 'artifacts', ...version.subject })
    try {
      const built = await build(samples).finally(() => serving.shortfalls.tell())
      if (built.entry !== undefined) await version.lane.add(() => renew(built))
      else version.artifact = artifactStatsOf(built)
      const { artifact } = version
      if (artifact !== undefined && isServed())
        serving.events.publish('artifactDecided', { subject: modelSubject(version.subject), ...artifact })
    } catch (err) {
      if (serving.isOpen)
        log.warn({ err }, 'the version is served without its artifact until it is loaded again')
    }
  }
  const isServed = (): boolean => serving.isOpen && version.machine.is('ready', 'running')
  const isAsBefore = (): boolean => isServed() && version.pool === pool
  const renew = async (built: Prepared): Promise<void> => {
    const next = poolOf(serving, version, built)
    // Until it serves, a close has to see it off.
    serving.endingPools.add(next)
    try {
      if (pool === undefined || !isAsBefore()) return
      const room = await reserveRoom(serving, version, built).catch(() => undefined)
      if (room === undefined) return
      await startPool(serving, version, next, built, room)
      await next.whenServing(pool.servingCount)
      if (!isAsBefore() || !next.isOpen) return
      serving.endingPools.delete(next)
      version.pool = next
      version.artifact = artifactStatsOf(built)
      // Its requests have all the time they want: nobody waits for its end.
      end(pool, MAX_TIMER_MS)
    } finally {
      if (version.pool !== next) end(next, 0)
    }
  }
  const end = (replaced: VersionPool, timeoutMs: number): void => {
    const cause = new Error('it was replaced')
    inBackground(
      serving,
      endPool(serving, replaced, timeoutMs, () => cause),
      'the end of a pool',
    )
  }
  version.trial = new ArtifactTrial(serving.clock, (samples) => {
    inBackground(
      serving,
      serving.scope.runInAsyncScope(() => adopt(samples)),
      'the use of a new artifact',
    )
  })
}
