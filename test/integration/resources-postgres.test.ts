import { Client } from 'pg'
import { type PooledResource, pooledResourceType, ResourceLifecycleManager } from 'tbcoin-engine'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { codeOf, errorOf, settle } from '../support/runtime-harness.js'
import { type TestServer, testServer, untilUsed } from '../support/servers.js'

const server = testServer('postgres')
const APP = 'tbcoin-pool'

type Pool = PooledResource<Client>

async function connect(url: string, name: string): Promise<Client> {
  const client = new Client({ connectionString: url, application_name: name })
  // An idle connection that is lost emits an error, which would end the process; validate finds the loss.
  client.on('error', () => undefined)
  await client.connect()
  return client
}

/** Checks by a query, because the client notices the end of its connection only after its last query. */
async function isAlive(client: Client): Promise<boolean> {
  await client.query('select 1')
  return true
}

/** Returns the process ids of the connections of the pool, as the server lists them. */
async function backends(observer: Client): Promise<number[]> {
  const { rows } = await observer.query<{ pid: number }>(
    'select pid from pg_stat_activity where application_name = $1 order by pid',
    [APP],
  )
  return rows.map(({ pid }) => pid)
}

/**
 * Resolves once the server has that many connections; it notices a closed one slightly later than the client.
 */
async function untilBackends(observer: Client, count: number): Promise<void> {
  while ((await backends(observer)).length !== count) await settle()
}

async function pidOf(client: Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  return (rows[0] as { pid: number }).pid
}

describe.skipIf(server === undefined)('a pool of PostgreSQL connections', () => {
  // The body of a skipped suite is called, too.
  const { url, kill, up } = server ?? ({} as TestServer)
  let manager: ResourceLifecycleManager
  let observer: Client

  beforeEach(async () => {
    manager = new ResourceLifecycleManager({ logLevel: 'silent' })
    observer = await connect(url, 'observer')
  })

  afterEach(async () => {
    await manager.close()
    await observer.end()
  })

  async function open(options: object = {}, config = { url }): Promise<Pool> {
    manager.registerResourceType(
      'postgres',
      ...pooledResourceType<Client, { url: string }>({
        create: (config) => connect(config.url, APP),
        destroy: (client) => client.end(),
        validate: isAlive,
        check: (client) => client.query('select 1'),
        max: 2,
        ...options,
      }),
    )
    return manager.initializeResource<Pool>({ name: 'db', resourceType: 'postgres', config })
  }

  it('serves many callers over few connections, and keeps those', async () => {
    const pool = await open({ min: 1 })
    expect(await backends(observer)).toHaveLength(1)
    // The second connection is created when two are needed at the same time.
    for (const client of await Promise.all([pool.acquire(), pool.acquire()])) pool.release(client)
    const before = await backends(observer)
    expect(before).toHaveLength(2)
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        pool.use(async (client) => {
          const { rows } = await client.query<{ n: number }>('select $1::int as n', [n])
          return rows[0]?.n
        }),
      ),
    )
    expect(answers).toEqual(Array.from({ length: 50 }, (_, n) => n))
    expect(await backends(observer)).toEqual(before)
    expect(pool.stats()).toEqual({ min: 1, max: 2, used: 0, free: 2, pending: 0 })
  })

  it('rejects a caller at its deadline while every connection is in use', async () => {
    const pool = await open()
    const held = await Promise.all([pool.acquire(), pool.acquire()])
    const error = await errorOf(pool.use(() => 'never', { timeoutMs: 50 }))
    expect(error).toMatchObject({ code: 'ERR_DEADLINE_EXCEEDED', stage: 'queued' })
    await expect(manager.checkResourceHealth('db')).resolves.toMatchObject({ status: 'healthy' })
    const waiting = pool.use(pidOf, { timeoutMs: 5_000 })
    const pid = await pidOf(held[0])
    pool.release(held[0])
    expect(await waiting).toBe(pid)
    pool.release(held[1])
  })

  it('keeps a connection whose query failed, and replaces one that the server has closed', async () => {
    const pool = await open({ max: 1 })
    const first = await pool.use(pidOf)
    await expect(pool.use((client) => client.query('select 1/0'))).rejects.toMatchObject({ code: '22012' })
    expect(await pool.use(pidOf)).toBe(first)
    await expect(
      pool.use((client) => client.query('select pg_terminate_backend(pg_backend_pid())')),
    ).rejects.toThrow()
    const second = await pool.use(pidOf)
    expect(second).not.toBe(first)
    // The server closes an idle connection without the knowledge of the pool.
    await observer.query('select pg_terminate_backend($1)', [second])
    await untilBackends(observer, 0)
    const third = await pool.use(pidOf)
    expect(third).not.toBe(second)
    expect(await backends(observer)).toEqual([third])
  })

  it('is unhealthy while its server is down, and opens new connections once the server is back', async () => {
    const pool = await open({ min: 2 })
    const before = await backends(observer)
    const inUse = await pool.acquire()
    const running = errorOf(pool.use((client) => client.query('select pg_sleep(60)')))
    await untilUsed(pool, 2)
    expect(before).toHaveLength(2)
    await expect(manager.checkResourceHealth('db')).resolves.toMatchObject({ status: 'healthy' })
    await kill()
    try {
      expect((await running).message).toMatch(/terminat/i)
      const health = await manager.checkResourceHealth('db')
      expect(health).toMatchObject({ status: 'unhealthy', cause: { code: 'ERR_RESOURCE_INIT' } })
      expect(health.error).toContain('ECONNREFUSED')
      expect(await codeOf(pool.use(pidOf))).toBe('ERR_RESOURCE_INIT')
      pool.release(inUse)
    } finally {
      await up()
    }
    observer = await connect(url, 'observer')
    await expect(manager.checkResourceHealth('db')).resolves.toMatchObject({ status: 'healthy' })
    const clients = await Promise.all([pool.acquire(), pool.acquire()])
    const after = await Promise.all(clients.map(pidOf))
    for (const pid of after) expect(before).not.toContain(pid)
    expect(await backends(observer)).toEqual(after.sort((a, b) => a - b))
    for (const client of clients) pool.release(client)
    expect(pool.stats()).toMatchObject({ used: 0, free: 2, pending: 0 })
  })

  it('lets a query in flight end during the cleanup, then leaves no connection', async () => {
    const pool = await open({ min: 2 })
    await observer.query('select pg_advisory_lock(7)')
    const running = pool.use((client) => client.query('select pg_advisory_lock(7), 42 as n'))
    await untilUsed(pool, 1)
    const cleaning = manager.cleanupResource('db')
    expect(await codeOf(pool.acquire())).toBe('ERR_RESOURCE_NOT_FOUND')
    await observer.query('select pg_advisory_unlock(7)')
    const { rows } = await running
    expect(rows).toEqual([expect.objectContaining({ n: 42 })])
    await cleaning
    await untilBackends(observer, 0)
    expect(manager.listResources()).toEqual([expect.objectContaining({ name: 'db', state: 'stopped' })])
  })

  it('closes a connection whose query hangs once the cleanup has waited long enough', async () => {
    const pool = await open({ drainTimeoutMs: 100 })
    const running = errorOf(pool.use((client) => client.query('select pg_sleep(60)')))
    await untilUsed(pool, 1)
    await manager.cleanupResource('db')
    expect((await running).message).toMatch(/terminat/i)
    // A sleeping backend does not notice that its client has gone.
    await observer.query('select pg_terminate_backend($1)', await backends(observer))
    await untilBackends(observer, 0)
  })

  it('cannot be initialised with a wrong password, and reports the error of the server', async () => {
    const wrong = url.replace(/:[^:@]+@/, ':wrong@')
    const error = await errorOf(open({ min: 1 }, { url: wrong }))
    expect(error).toMatchObject({ code: 'ERR_RESOURCE_INIT', cause: { cause: { code: '28P01' } } })
    expect(error.message).not.toContain('wrong')
    expect(manager.listResources()).toEqual([expect.objectContaining({ state: 'error', cause: error })])
  })

  it('is initialised by a later attempt if its server starts meanwhile', async () => {
    await observer.end()
    await kill()
    let failures = 0
    const isBack = { promise: Promise.resolve() }
    manager.registerResourceType(
      'patient',
      ...pooledResourceType<Client>({
        create: async () => {
          try {
            return await connect(url, APP)
          } catch (error) {
            failures += 1
            if (failures === 2) isBack.promise = up()
            await isBack.promise
            throw error
          }
        },
        destroy: (client) => client.end(),
        min: 1,
      }),
    )
    const pool = await manager.initializeResource<Pool>({
      name: 'db',
      resourceType: 'patient',
      retry: { attempts: 10, minDelayMs: 1, maxDelayMs: 10 },
    })
    observer = await connect(url, 'observer')
    expect(failures).toBeGreaterThanOrEqual(2)
    expect(await pool.use(pidOf)).toBeGreaterThan(0)
  })
})
