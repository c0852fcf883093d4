import type { LifecycleState } from '../../lifecycle/state-machine.js'

/** One version at the moment of a decision about its memory. */
export interface MemoryHolder {
  readonly model: string
  readonly state: LifecycleState
  /** Requests that are admitted and not settled. */
  readonly openRequests: number
  readonly isPinned: boolean
  /** Replicas that it keeps while it is unused; undefined if none. */
  readonly minReplicas: number | undefined
  /** Milliseconds without a request. */
  readonly idleMs: number
  /** True while a change of its model is under way or waits. */
  readonly isChanging: boolean
}

export type IdleAction =
  | { readonly kind: 'keep' }
  | { readonly kind: 'shrink'; readonly replicas: number }
  | { readonly kind: 'evict' }

/** Decides about a version that is evicted after `limitMs` without a request; undefined is never. */
export function planIdle(holder: MemoryHolder, limitMs: number | undefined): IdleAction {
  if (limitMs === undefined || holder.idleMs < limitMs || !isUnused(holder)) return { kind: 'keep' }
  const { minReplicas } = holder
  return minReplicas === undefined ? { kind: 'evict' } : { kind: 'shrink', replicas: minReplicas }
}

export type RoomAction<T> =
  | { readonly kind: 'await memory' }
  | { readonly kind: 'evict'; readonly holder: T }
  | { readonly kind: 'refuse' }

/** Decides how a load of `model` gets more room: memory that comes back anyway is waited for first. */
export function planRoom<T extends MemoryHolder>(
  model: string,
  isMemoryComing: boolean,
  holders: readonly T[],
): RoomAction<T> {
  if (isMemoryComing) return { kind: 'await memory' }
  const holder = leastRecentlyUsed(holders.filter((other) => other.model !== model))
  return holder === undefined ? { kind: 'refuse' } : { kind: 'evict', holder }
}

/**
 * Returns the version to evict. Not one whose model is being changed: to wait for that could be to wait for the
 * load that needs the room.
 */
function leastRecentlyUsed<T extends MemoryHolder>(holders: readonly T[]): T | undefined {
  return holders
    .filter((holder) => isUnused(holder) && holder.minReplicas === undefined && !holder.isChanging)
    .reduce<T | undefined>((a, b) => (a === undefined || b.idleMs > a.idleMs ? b : a), undefined)
}

/** Returns true if it has a pool, no request, and may go. */
export function isUnused({ state, openRequests, isPinned }: MemoryHolder): boolean {
  return (state === 'ready' || state === 'running') && openRequests === 0 && !isPinned
}
