import pg from 'pg'
import type { ResourceLifecycleManager } from 'tbcoin-engine'

export interface StoreConfig {
  readonly url: string
  readonly table: string
}

/** One window of speech that was judged. */
export interface Judgement {
  readonly listener: number
  readonly window: number
  readonly probability: number
  readonly isCached: boolean
}

/** Keeps judgements in PostgreSQL; the resource is a pool of connections of `pg`'s own. */
export class Store {
  readonly pool: pg.Pool
  readonly #table: string

  private constructor(pool: pg.Pool, table: string) {
    this.pool = pool
    this.#table = table
  }

  static async open({ url, table }: StoreConfig): Promise<Store> {
    const pool = new pg.Pool({ connectionString: url, max: 8 })
    // A connection that breaks while nobody uses it; the pool replaces it, and the health check tells.
    pool.on('error', () => undefined)
    try {
      await pool.query(
        `CREATE TABLE IF NOT EXISTS ${pg.escapeIdentifier(table)} (listener int, "window" int, probability real, is_cached boolean)`,
      )
    } catch (error) {
      await pool.end()
      throw error
    }
    return new Store(pool, pg.escapeIdentifier(table))
  }

  async add({ listener, window, probability, isCached }: Judgement): Promise<void> {
    await this.pool.query(`INSERT INTO ${this.#table} VALUES ($1, $2, $3, $4)`, [
      listener,
      window,
      probability,
      isCached,
    ])
  }

  async count(): Promise<number> {
    const { rows } = await this.pool.query<{ count: string }>(`SELECT count(*) FROM ${this.#table}`)
    return Number(rows[0]?.count)
  }
}

export function registerStore(resources: ResourceLifecycleManager): void {
  resources.registerResourceType(
    'postgres',
    (config: StoreConfig) => Store.open(config),
    (store) => store.pool.end(),
    (store) => store.pool.query('SELECT 1'),
  )
}
