import { artifactStatsOf } from '../artifacts/artifact-stats.js'
import type { Prepared } from '../artifacts/artifacts.js'
import { MAX_TIMER_MS } from '../config.js'
import type { Tensor } from '../tensors/tensor.js'
import { ArtifactTrial } from './artifact-trial.js'
import { reserveRoom } from './memory-room.js'
import type { ModelVersion } from './model-version.js'
import { assertOpen, type Serving } from './serving.js'
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
      const built = await build(samples)
      if (built.entry !== undefined) await version.lane.add(() => renew(built))
      else version.artifact = artifactStatsOf(built)
      const { artifact } = version
      if (artifact !== undefined && isServed())
        serving.emit('artifactDecided', { ...version.subject, ...artifact })
    } catch (err) {
      if (serving.isOpen)
        log.warn({ err }, 'the version is served without its artifact until it is loaded again')
    }
  }
  const isServed = (): boolean => serving.isOpen && version.machine.is('ready', 'running')
  const isAsBefore = (): boolean => isServed() && version.pool === pool
  const renew = async (built: Prepared): Promise<void> => {
    const room = isAsBefore() ? await reserveRoom(serving, version, built).catch(() => undefined) : undefined
    if (pool === undefined || room === undefined || !isAsBefore()) {
      room?.release()
      return serving.artifacts.release(built)
    }
    const next = poolOf(serving, version, built)
    const cause = new Error('it was replaced')
    // Until it serves, a close has to see it off.
    serving.endingPools.add(next)
    try {
      await serving.loadLane.add(async () => {
        assertOpen(serving)
        await startPool(serving, version, next)
      }, built.bytes)
    } finally {
      room.release()
      if (!isAsBefore() || !next.isOpen) void endPool(serving, next, 0, () => cause)
    }
    if (!isAsBefore() || !next.isOpen) return
    serving.endingPools.delete(next)
    version.pool = next
    version.artifact = artifactStatsOf(built)
    // Its requests have all the time they want: nobody waits for its end.
    void endPool(serving, pool, MAX_TIMER_MS, () => cause)
  }
  version.trial = new ArtifactTrial((samples) => {
    void serving.scope.runInAsyncScope(() => adopt(samples))
  })
}
