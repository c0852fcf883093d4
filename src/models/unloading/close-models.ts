import { errors } from '../../errors/errors.js'
import type { PoolEnding } from '../context/ending-pools.js'
import type { ModelContext } from '../context/model-context.js'
import type { VersionRecord } from '../context/version-record.js'
import type { ModelRegistry } from '../registry/model-registry.js'

/**
 * Ends every pool, whatever its version is doing; requests that are not answered within
 * `timeoutMs` are rejected with ERR_RUNTIME_CLOSED. Reports every thread that is left.
 */
export async function closeModels(
  { artifacts, endings, trials }: ModelContext,
  registry: ModelRegistry,
  timeoutMs: number,
): Promise<PoolEnding> {
  artifacts.close()
  trials.close()
  const late = `the runtime was closed and did not wait longer than ${timeoutMs} ms for this request`
  const lateError = (version?: VersionRecord): Error => new errors.ERR_RUNTIME_CLOSED(late, version?.subject)
  const versions = [...registry.versions(), ...registry.stopping]
  // A version that is stopping ends its pool itself.
  const others = endings.pools.filter((pool) => !versions.some((version) => version.pool === pool))
  const rejected = await Promise.all([
    ...versions.map((version) => version.close(timeoutMs, lateError)),
    ...others.map(async (pool) => (await endings.end(pool, timeoutMs, lateError)).rejected),
  ])
  return { rejected: rejected.reduce((sum, count) => sum + count, 0), stuck: endings.stuck() }
}
