import type { ResourceLifecycleManager } from './resource-manager.js'

/** All resources in one answer of a health check. */
export async function checkResources(resources: ResourceLifecycleManager): Promise<{
  readonly status: 'healthy' | 'unhealthy'
  readonly reason: string | undefined
  readonly detail: unknown
}> {
  const all = await resources.checkAllResourcesHealth()
  const failing = all.filter(({ status }) => status === 'unhealthy')
  return {
    status: failing.length === 0 ? 'healthy' : 'unhealthy',
    reason:
      failing.length === 0 ? undefined : failing.map(({ name, error }) => `${name}: ${error}`).join('; '),
    detail: { resources: all.map(({ name, status, durationMs }) => ({ name, status, durationMs })) },
  }
}
