import { withTimeout } from '../../async/with-timeout.js'
import type { Allocator } from '../../memory/allocator.js'
import type { Clock } from '../../platform/clock.js'
import type { StuckReplica } from '../../pools/settings/stuck-replica.js'
import type { VersionPool } from '../../pools/version-pool.js'
import { inBackground } from '../../telemetry/in-background.js'
import type { Logger } from '../../telemetry/logger.js'

export interface PoolEnding {
  readonly rejected: number
  readonly stuck: readonly StuckReplica[]
}

/** Pools on their way out, until their last thread has ended. */
export class EndingPools {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #allocator: Pick<Allocator, 'reclaim'>
  readonly #pools = new Set<VersionPool>()
  /** Ends of pools that have no request left; each resolves when their memory is given back. */
  readonly #teardowns = new Set<Promise<unknown>>()

  constructor(clock: Clock, logger: Logger, allocator: Pick<Allocator, 'reclaim'>) {
    this.#clock = clock
    this.#logger = logger
    this.#allocator = allocator
  }

  get pools(): readonly VersionPool[] {
    return [...this.#pools]
  }

  /** True while memory of a pool is about to come back. */
  get isMemoryComing(): boolean {
    return this.#teardowns.size > 0
  }

  /** Resolves when the memory of the next pool has come back. */
  async nextTeardown(): Promise<void> {
    await Promise.race(this.#teardowns)
  }

  /** Replicas of these pools whose run has not returned. */
  stuck(): StuckReplica[] {
    return this.pools.flatMap((pool) => pool.stuck())
  }

  /** Has a close of the runtime end a pool that serves no version yet. */
  hold(pool: VersionPool): void {
    this.#pools.add(pool)
  }

  /** A version serves with the pool from now on, and ends it. */
  handOver(pool: VersionPool): void {
    this.#pools.delete(pool)
  }

  /**
   * Ends a pool: admits nothing more, waits for its requests, releases the sessions, ends the threads, gives their
   * memory back. After `timeoutMs` the requests that are left are rejected with `lateError` and reported; a running
   * replica is never terminated, and its pool stays here until the run returns.
   */
  async end(pool: VersionPool, timeoutMs: number, lateError: () => Error): Promise<PoolEnding> {
    const startedAtMs = this.#clock.now()
    this.#pools.add(pool)
    const rejectedBefore = pool.rejected
    const drained = pool.drain().then(() => true)
    const isDrained = await withTimeout(this.#clock, drained, timeoutMs)
    if (isDrained === undefined) pool.rejectAll(lateError())
    const remainingMs = timeoutMs - (this.#clock.now() - startedAtMs)
    const teardown = this.#stop(pool, isDrained === undefined ? 0 : Math.max(0, remainingMs))
    this.#teardowns.add(teardown)
    const stuck = await teardown.finally(() => this.#teardowns.delete(teardown))
    return { rejected: pool.rejected - rejectedBefore, stuck }
  }

  /** Ends a pool without a caller who awaits it. */
  endInBackground(pool: VersionPool, timeoutMs: number, cause: Error): void {
    inBackground(
      { logger: this.#logger },
      this.end(pool, timeoutMs, () => cause),
      'the end of a pool',
    )
  }

  async #stop(pool: VersionPool, timeoutMs: number): Promise<readonly StuckReplica[]> {
    const stuck = await pool.stop(timeoutMs)
    const gone = pool.gone().then(() => this.#pools.delete(pool))
    await this.#allocator.reclaim()
    if (stuck.length === 0) await gone
    if (pool.leaseCount > 0) {
      this.#logger.error({ requests: pool.leaseCount }, 'a pool was stopped with requests open')
    }
    return stuck
  }
}
