import { Redis } from 'ioredis'
import { type PooledResource, pooledResourceType, type ResourceLifecycleManager } from 'tbcoin-engine'

export type Cache = PooledResource<Redis>

const SECONDS_KEPT = 60

/** Pools of connections to Redis; a connection that has broken is replaced, not mended. */
export function registerCache(resources: ResourceLifecycleManager): void {
  const type = pooledResourceType<Redis, { url: string }>({
    create: async ({ url }) => {
      const redis = new Redis(url, { lazyConnect: true, retryStrategy: null, maxRetriesPerRequest: 0 })
      // `connect` and each command reject with it too.
      redis.on('error', () => undefined)
      await redis.connect()
      return redis
    },
    destroy: (redis) => redis.disconnect(),
    validate: (redis) => redis.status === 'ready',
    check: (redis) => redis.ping(),
    min: 2,
    max: 8,
    acquireTimeoutMs: 2_000,
  })
  resources.registerResourceType('redis', ...type)
}

export async function recall(cache: Cache, key: string): Promise<number | undefined> {
  const text = await cache.use((redis) => redis.get(key))
  return text === null ? undefined : Number(text)
}

export async function remember(cache: Cache, key: string, value: number): Promise<void> {
  await cache.use((redis) => redis.set(key, String(value), 'EX', SECONDS_KEPT))
}
