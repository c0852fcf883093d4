import type { LifecycleState } from '../../lifecycle/state-machine.js'

/** A version, as far as a decision about its memory needs it. */
export interface MemoryHolder {
  readonly model: string
  readonly state: LifecycleState
  /** Number of requests that are not settled. */
  readonly openRequests: number
  readonly isPinned: boolean
  /** Number of replicas that it keeps while it is unused; undefined if it keeps none. */
  readonly minReplicas: number | undefined
  /** Milliseconds since its last request or load. */
  readonly idleMs: number
  /** True while a change of its model runs or waits. */
  readonly isChanging: boolean
}

export type IdleAction =
  | { readonly kind: 'keep' }
  | { readonly kind: 'shrink'; readonly replicas: number }
  | { readonly kind: 'evict' }

/** Decides whether to evict or shrink a version that may be unused for `limitMs`; undefined disables eviction. */
export function planIdle(holder: MemoryHolder, limitMs: number | undefined): IdleAction {
  if (limitMs === undefined || holder.idleMs < limitMs || !isUnused(holder)) return { kind: 'keep' }
  const { minReplicas } = holder
  return minReplicas === undefined ? { kind: 'evict' } : { kind: 'shrink', replicas: minReplicas }
}

export type RoomAction<T> =
  | { readonly kind: 'await memory' }
  | { readonly kind: 'evict'; readonly holder: T }
  | { readonly kind: 'refuse' }

/** Decides how a load of `model` gets more memory: by memory that is about to be returned, or else by an eviction. */
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
 * Returns the version to evict. Versions whose model is being changed are excluded, since the wait for that change
 * could be a wait for the load that needs the memory.
 */
function leastRecentlyUsed<T extends MemoryHolder>(holders: readonly T[]): T | undefined {
  return holders
    .filter((holder) => isUnused(holder) && holder.minReplicas === undefined && !holder.isChanging)
    .reduce<T | undefined>((a, b) => (a === undefined || b.idleMs > a.idleMs ? b : a), undefined)
}

/** Returns true if the version has a pool, has no open requests and is not pinned. */
export function isUnused({ state, openRequests, isPinned }: MemoryHolder): boolean {
  return (state === 'ready' || state === 'running') && openRequests === 0 && !isPinned
}
