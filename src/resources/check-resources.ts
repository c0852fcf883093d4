import { type HealthAnswer, healthOf } from '../lifecycle/health/health-check.js'
import type { ResourceLifecycleManager } from './resource-manager.js'

/** Checks all resources and returns one result, with the details of each resource. */
export async function checkResources(resources: ResourceLifecycleManager): Promise<HealthAnswer> {
  const all = await resources.checkAllResourcesHealth()
  const impaired = all.filter(({ status }) => status !== 'healthy')
  const isFailing = impaired.some(({ status }) => status === 'unhealthy')
  return healthOf(
    impaired.map(({ name, error }) => `${name}: ${error}`),
    { resources: all.map(({ name, status, durationMs }) => ({ name, status, durationMs })) },
    isFailing ? 'unhealthy' : 'degraded',
  )
}
