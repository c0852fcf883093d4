import { errors } from '../../errors/errors.js'
import type { PoolEnding } from '../context/ending-pools.js'
import type { ModelContext } from '../context/model-context.js'
import type { VersionRecord } from '../context/version-record.js'
import type { ModelRegistry } from '../registry/model-registry.js'

/**
 * Ends every pool, whatever the state of its version, and rejects requests that are open after `timeoutMs` with
 * ERR_RUNTIME_CLOSED. Resolves with the number of those and with the replicas that are stuck.
 */
export async function closeModels(
  { artifacts, endings, trials }: ModelContext,
  registry: ModelRegistry,
  timeoutMs: number,
): Promise<PoolEnding> {
  artifacts.close()
  trials.close()
  const message = `the runtime was closed, and this request did not finish within ${timeoutMs} ms`
  const lateError = (version?: VersionRecord): Error =>
    new errors.ERR_RUNTIME_CLOSED(message, version?.subject)
  const versions = [...registry.versions(), ...registry.stopping]
  // The pools of versions end by `version.close` below.
  const others = endings.pools.filter((pool) => !versions.some((version) => version.pool === pool))
  const rejected = await Promise.all([
    ...versions.map((version) => version.close(timeoutMs, lateError)),
    ...others.map(async (pool) => (await endings.end(pool, timeoutMs, lateError)).rejected),
  ])
  return { rejected: rejected.reduce((sum, count) => sum + count, 0), stuck: endings.stuck() }
}
