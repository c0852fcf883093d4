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

/** The pools that are being stopped, until their last thread has ended. */
export class EndingPools {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #allocator: Pick<Allocator, 'reclaim'>
  readonly #pools = new Set<VersionPool>()
  /** Teardowns of pools that have no request left; each resolves when the memory of the pool is returned. */
  readonly #teardowns = new Set<Promise<unknown>>()

  constructor(clock: Clock, logger: Logger, allocator: Pick<Allocator, 'reclaim'>) {
    this.#clock = clock
    this.#logger = logger
    this.#allocator = allocator
  }

  get pools(): readonly VersionPool[] {
    return [...this.#pools]
  }

  /** True while memory of a pool is about to be returned. */
  get isMemoryComing(): boolean {
    return this.#teardowns.size > 0
  }

  /** Resolves when the memory of the next pool has been returned. */
  async nextTeardown(): Promise<void> {
    await Promise.race(this.#teardowns)
  }

  /** Returns the replicas of these pools whose run has not returned. */
  stuck(): StuckReplica[] {
    return this.pools.flatMap((pool) => pool.stuck())
  }

  /** Adds a pool that serves no version yet, so that a close of the runtime ends it. */
  hold(pool: VersionPool): void {
    this.#pools.add(pool)
  }

  /** Removes a pool that serves a version from now on: that version ends it. */
  handOver(pool: VersionPool): void {
    this.#pools.delete(pool)
  }

  /**
   * Ends a pool: it admits no more requests, waits for those it has, releases the sessions, ends the threads and
   * returns their memory. After `timeoutMs` it rejects the remaining requests with `lateError` and counts them. A
   * running replica is never terminated; its pool stays in this set until the run returns.
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

  /** Ends a pool without a caller that awaits it; a failure is logged. */
  endInBackground(pool: VersionPool, timeoutMs: number, cause: Error): void {
    inBackground(
      { logger: this.#logger },
      this.end(pool, timeoutMs, () => cause),
      'pool teardown',
    )
  }

  async #stop(pool: VersionPool, timeoutMs: number): Promise<readonly StuckReplica[]> {
    const stuck = await pool.stop(timeoutMs)
    const gone = pool.whenGone().then(() => this.#pools.delete(pool))
    await this.#allocator.reclaim()
    if (stuck.length === 0) await gone
    if (pool.leaseCount > 0) {
      this.#logger.error({ requests: pool.leaseCount }, 'pool stopped with open requests')
    }
    return stuck
  }
}
