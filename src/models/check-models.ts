import { messageOf } from '../errors/errors.js'
import { type HealthAnswer, healthOf } from '../lifecycle/health/health-check.js'
import type { PoolStats } from '../pools/settings/pool-settings.js'
import type { ModelRegistry } from './registry/model-registry.js'
import type { ModelVersion } from './version/model-version.js'

/**
 * Checks that every model has an active version that can run requests; a cold one counts, since it loads on demand.
 * The result is `degraded` if some models cannot run requests, and `unhealthy` if none can.
 */
export function checkModels(registry: ModelRegistry): HealthAnswer {
  const active = registry.versions().filter((version) => registry.isActive(version))
  const problems = active.flatMap((version) => {
    const problem = problemOf(version)
    return problem === undefined ? [] : [`${version.record.label} ${problem}`]
  })
  for (const [name, cause] of registry.missing()) {
    problems.push(`${name} is not served: ${messageOf(cause)}`)
  }
  const expected = active.length + registry.missing().length
  const detail = { active: active.map((version) => ({ ...version.record.subject, state: version.state })) }
  return healthOf(problems, detail, problems.length < expected ? 'degraded' : 'unhealthy')
}

/** Checks that every pool has all its replicas and that none of them is in quarantine. */
export function checkReplicas(registry: ModelRegistry): HealthAnswer {
  const served = registry.versions().filter((version) => version.isServing)
  const problems = served.flatMap((version) => {
    const { pool } = version
    if (pool === undefined) return []
    const stats = pool.stats()
    const { wanted, isGrowing, fault } = stats
    const cause = fault === undefined ? '' : `, the last could not be started: ${fault}`
    return [
      ...(stats.quarantined > 0 ? [`${version.record.label} has ${stats.quarantined} in quarantine`] : []),
      ...(aliveCount(stats) < wanted && !isGrowing
        ? [`${version.record.label} has ${aliveCount(stats)} of ${wanted}${cause}`]
        : []),
    ]
  })
  return healthOf(problems, {
    pools: served.map((version) => ({ ...version.record.subject, ...version.pool?.stats() })),
  })
}

function problemOf(version: ModelVersion): string | undefined {
  if (version.is('error')) return `is in error: ${String((version.cause as Error | undefined)?.message)}`
  const { pool } = version
  if (version.is('running') && pool !== undefined && aliveCount(pool.stats()) === 0)
    return 'has no replica left'
  return undefined
}

function aliveCount({ idle, busy }: PoolStats): number {
  return idle + busy
}
