import { artifactStatsOf } from '../artifacts/artifact-stats.js'
import type { Prepared } from '../artifacts/artifacts.js'
import type { Tensor } from '../tensors/tensor.js'
import { ArtifactTrial } from './artifact-trial.js'
import { reserveRoom } from './memory-room.js'
import type { ModelVersion } from './model-version.js'
import type { Serving } from './serving.js'
import { poolOf, startPool } from './start-pool.js'
import { drainTimeoutOf, endPool } from './take-down.js'

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
      if (built.entry === undefined) version.artifact = artifactStatsOf(built)
      else await version.lane.add(() => renew(built))
      if (version.artifact !== undefined) {
        serving.emit('artifactDecided', { ...version.subject, ...version.artifact })
      }
    } catch (err) {
      if (serving.isOpen)
        log.warn({ err }, 'the version is served without its artifact until it is loaded again')
    }
  }
  const isAsBefore = (): boolean =>
    serving.isOpen && version.pool === pool && version.machine.is('ready', 'running')
  const renew = async (built: Prepared): Promise<void> => {
    if (pool === undefined || !isAsBefore()) return serving.artifacts.release(built)
    const room = await reserveRoom(serving, version, built)
    const next = poolOf(serving, version, built)
    // Until it serves, a close has to see it off.
    serving.endingPools.add(next)
    version.signature = await serving.loadLane
      .add(() => startPool(serving, version, next))
      .finally(() => room.release())
    const cause = new Error('it was replaced')
    if (!isAsBefore()) {
      await endPool(serving, next, 0, () => cause)
      return
    }
    serving.endingPools.delete(next)
    version.pool = next
    await endPool(serving, pool, drainTimeoutOf(serving, version), () => cause)
  }
  version.trial = new ArtifactTrial((samples) => {
    void serving.scope.runInAsyncScope(() => adopt(samples))
  })
}
