import { Redis } from 'ioredis'
import { type PooledResource, pooledResourceType, ResourceLifecycleManager } from 'tbcoin-engine'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { codeOf, errorOf, settle } from '../support/runtime-harness.js'
import { type TestServer, testServer, untilUsed } from '../support/servers.js'

const server = testServer('redis')
const NAME = 'tbcoin-client'

/** Returns a client that fails instead of reconnecting, because the pool replaces it. */
async function connect(url: string, connectionName: string): Promise<Redis> {
  const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null, connectionName })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

async function connections(observer: Redis): Promise<number> {
  const list = (await observer.client('LIST')) as string
  return list.split('\n').filter((line) => line.includes(`name=${NAME}`)).length
}

async function untilConnections(observer: Redis, count: number): Promise<void> {
  while ((await connections(observer)) !== count) await settle()
}

describe.skipIf(server === undefined)('Redis', () => {
  // The body of a skipped suite is called, too.
  const { url, kill, up } = server ?? ({} as TestServer)
  let manager: ResourceLifecycleManager
  let observer: Redis

  beforeEach(async () => {
    manager = new ResourceLifecycleManager({ logLevel: 'silent' })
    observer = await connect(url, 'observer')
    await observer.flushall()
  })

  afterEach(async () => {
    await manager.close()
    observer.disconnect()
  })

  describe('as one client', () => {
    beforeEach(() => {
      manager.registerResourceType<Redis, { url: string }>(
        'redis',
        (config) => connect(config.url, NAME),
        (client) => client.quit(),
        async (client) => (await client.ping()) === 'PONG',
      )
    })

    it('is initialised once for concurrent callers, and quits at the cleanup', async () => {
      const ask = (): Promise<Redis> =>
        manager.initializeResource<Redis>({ name: 'cache', resourceType: 'redis', config: { url } })
      const [first, second] = await Promise.all([ask(), ask()])
      expect(second).toBe(first)
      expect(await ask()).toBe(first)
      expect(await connections(observer)).toBe(1)
      await first.set('key', 'value')
      expect(await manager.getResource<Redis>('cache').get('key')).toBe('value')
      await manager.cleanupAll()
      await untilConnections(observer, 0)
      while (first.status !== 'end') await settle()
    })

    it('is unhealthy when its server is killed, and can be initialised again when the server is back', async () => {
      await manager.initializeResource({ name: 'cache', resourceType: 'redis', config: { url } })
      expect(await manager.checkAllResourcesHealth()).toMatchObject([{ name: 'cache', status: 'healthy' }])
      await kill()
      try {
        expect(await manager.checkAllResourcesHealth()).toMatchObject([{ status: 'unhealthy' }])
        // QUIT cannot reach a server that is down, so the cleaner fails, and the error reports that.
        expect(await codeOf(manager.cleanupResource('cache'))).toBe('ERR_SHUTDOWN')
        expect(
          await codeOf(manager.initializeResource({ name: 'cache', resourceType: 'redis', config: { url } })),
        ).toBe('ERR_RESOURCE_INIT')
      } finally {
        await up()
      }
      observer = await connect(url, 'observer')
      await manager.initializeResource({ name: 'cache', resourceType: 'redis', config: { url } })
      expect(await manager.checkResourceHealth('cache')).toMatchObject({ status: 'healthy' })
    })

    it('is cleaned up after its dependents, which can use it to the end', async () => {
      manager.registerResourceType(
        'counter',
        (_config, { resource }) => resource<Redis>('cache'),
        (cache) => cache.set('last', 'words'),
      )
      await manager.initializeResource({ name: 'cache', resourceType: 'redis', config: { url } })
      await manager.initializeResource({ name: 'counter', resourceType: 'counter', dependsOn: ['cache'] })
      await manager.cleanupResource('cache')
      expect(await observer.get('last')).toBe('words')
      expect(manager.listResources().map(({ state }) => state)).toEqual(['stopped', 'stopped'])
    })
  })

  describe('as a pool of clients', () => {
    type Pool = PooledResource<Redis>

    async function open(options: object = {}): Promise<Pool> {
      manager.registerResourceType(
        'redis-pool',
        ...pooledResourceType<Redis, { url: string }>({
          create: (config) => connect(config.url, NAME),
          destroy: (client) => client.disconnect(),
          validate: ({ status }) => status === 'ready',
          check: async (client) => (await client.ping()) === 'PONG',
          max: 2,
          ...options,
        }),
      )
      return manager.initializeResource<Pool>({ name: 'queue', resourceType: 'redis-pool', config: { url } })
    }

    it('gives each blocking caller a client of its own, and rejects a caller past its deadline', async () => {
      const pool = await open()
      const waiting = ['a', 'b'].map((list) => pool.use((client) => client.blpop(list, 0)))
      await untilUsed(pool, 2)
      expect(await codeOf(pool.acquire({ timeoutMs: 30 }))).toBe('ERR_DEADLINE_EXCEEDED')
      expect(await manager.checkResourceHealth('queue')).toMatchObject({ status: 'healthy' })
      await observer.rpush('b', 'second')
      await observer.rpush('a', 'first')
      expect(await Promise.all(waiting)).toEqual([
        ['a', 'first'],
        ['b', 'second'],
      ])
      expect(pool.stats()).toEqual({ min: 0, max: 2, used: 0, free: 2, pending: 0 })
    })

    it('replaces its clients after the server was killed', async () => {
      const pool = await open({ min: 2 })
      const inUse = await pool.acquire()
      const blocked = errorOf(pool.use((client) => client.blpop('a', 0)))
      await untilUsed(pool, 2)
      await kill()
      try {
        await blocked
        expect(await manager.checkResourceHealth('queue')).toMatchObject({ status: 'unhealthy' })
        expect(await codeOf(pool.use((client) => client.ping()))).toBe('ERR_RESOURCE_INIT')
      } finally {
        await up()
      }
      pool.release(inUse)
      observer = await connect(url, 'observer')
      expect(await manager.checkResourceHealth('queue')).toMatchObject({ status: 'healthy' })
      const clients = await Promise.all([pool.acquire(), pool.acquire()])
      expect(await Promise.all(clients.map((client) => client.ping()))).toEqual(['PONG', 'PONG'])
      expect(await connections(observer)).toBe(2)
      for (const client of clients) pool.release(client)
    })

    it('lets a client in use finish when it is cleaned up', async () => {
      const pool = await open({ drainTimeoutMs: 2_000 })
      const finished = pool.use((client) => client.blpop('a', 0))
      await untilUsed(pool, 1)
      const cleaning = manager.cleanupResource('queue')
      await observer.rpush('a', 'in time')
      expect(await finished).toEqual(['a', 'in time'])
      await cleaning
      await untilConnections(observer, 0)
    })

    it('closes a client whose user does not release it', async () => {
      const pool = await open({ drainTimeoutMs: 50 })
      const blocked = errorOf(pool.use((client) => client.blpop('a', 0)))
      await untilUsed(pool, 1)
      await manager.cleanupResource('queue')
      expect((await blocked).message).toMatch(/closed/i)
      await untilConnections(observer, 0)
    })
  })
})
