import pg from 'pg'
import { afterAll, describe, expect, it } from 'vitest'
import { messageOf, startChild } from '../support/run-child.js'
import { testServer } from '../support/servers.js'

const postgres = testServer('postgres')
const redis = testServer('redis')
const tables: string[] = []

async function query<T extends pg.QueryResultRow>(text: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: postgres?.url })
  await client.connect()
  try {
    return (await client.query<T>(text)).rows
  } finally {
    await client.end()
  }
}

afterAll(async () => {
  for (const table of tables) await query(`DROP TABLE IF EXISTS ${table}`)
})

interface Books {
  readonly submitted: number
  readonly answered: number
  readonly cached: number
  readonly failed: Record<string, number>
  readonly rows: number
  readonly versions: Record<string, number>
}

describe.skipIf(postgres === undefined || redis === undefined)('the example service', () => {
  it('swaps its model under traffic and ends with code 0 at a SIGTERM under load', async () => {
    const table = `windows_${process.pid}_${Date.now()}`
    tables.push(table)
    const child = startChild('../../../dist/examples/service.js', {
      env: {
        POSTGRES_URL: postgres?.url as string,
        REDIS_URL: redis?.url as string,
        SERVICE_TABLE: table,
      },
      limitMs: 60_000,
    })
    await child.message('drained')
    // Traffic has continued since then.
    await child.message(
      'statistics',
      ({ totals }) => Number((totals as Record<string, number>).completed) > 2_000,
    )
    child.kill('SIGTERM')
    const result = await child.result
    expect(result).toMatchObject({ code: 0, signal: null, stderr: '', isOverdue: false })

    expect(messageOf(result, 'health')).toMatchObject({
      status: 'healthy',
      isReady: true,
      checks: ['models', 'replicas', 'resources', 'memory', 'event-loop'],
    })
    expect(messageOf(result, 'swapped')).toMatchObject({ from: '5', to: '6' })
    expect(messageOf(result, 'closed')).toMatchObject({ rejected: 0, stuck: [], failures: [] })

    const books = messageOf(result, 'books') as unknown as Books
    expect(books.failed).toEqual({})
    expect(books.answered).toBe(books.submitted)
    expect(books.cached).toBeGreaterThan(0)
    expect(books.versions['5']).toBeGreaterThan(0)
    expect(books.versions['6']).toBeGreaterThan(0)
    expect((books.versions['5'] as number) + (books.versions['6'] as number)).toBe(
      books.answered - books.cached,
    )
    // The database confirms that every response was recorded.
    expect(books.rows).toBe(books.answered)
    const [counted] = await query<{ all: string; cached: string }>(
      `SELECT count(*) AS all, count(*) FILTER (WHERE is_cached) AS cached FROM ${table}`,
    )
    expect(counted).toEqual({ all: String(books.answered), cached: String(books.cached) })
  })
})
