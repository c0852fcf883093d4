/**
 * The locks of the models, from the outermost to the innermost. Work that holds one of them may wait only for those
 * below it, so that no two waits form a circle:
 *
 * 1. `model`: the lane of one model, in which its loads, swaps, unloads and evictions happen one after another.
 * 2. `memory`: the turn to reserve memory for a load.
 * 3. `evicted model`: the lane of another model, one of whose versions is evicted for that memory. It is entered
 *    only while it is idle, see `leastRecentlyUsed`.
 * 4. `load`: one of the loads that may run at the same time.
 */
export const LOCK_ORDER = ['model', 'memory', 'evicted model', 'load'] as const

export type LockName = (typeof LOCK_ORDER)[number]

/** Runs `work` under a lock, for which `take` waits. */
export type HoldLock = <R, T>(
  lock: LockName,
  take: (work: () => Promise<T>) => Promise<R>,
  work: () => Promise<T>,
) => Promise<R>

/** Takes the lock. Tests replace it to check the order as well, see `test/support/rules/lock-order.ts`. */
export const holdLock: HoldLock = (_lock, take, work) => take(work)
