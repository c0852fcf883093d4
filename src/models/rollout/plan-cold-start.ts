import type { LifecycleState } from '../../lifecycle/state-machine.js'

/** A version that a request has found without a pool, when it is the request's turn. */
export interface ColdVersion {
  readonly state: LifecycleState
  /** False if it was unloaded meanwhile. */
  readonly isKnown: boolean
  /** True if it was made known anew from the same source, by a load that came first. */
  readonly hasSuccessor: boolean
  /** True if the swap that was to load it has failed. */
  readonly isRefused: boolean
  readonly failure: LoadFailure
}

/** The last failure of a version, if there was one. */
export interface LoadFailure {
  /** Milliseconds since its last load failed; undefined if none did. */
  readonly agoMs: number | undefined
  /** True if its replicas kept dying. */
  readonly isCrashLoop: boolean
  /** A failed load is tried again after this time. */
  readonly retryAfterMs: number
}

export type ColdStartAction =
  | { readonly kind: 'load' }
  /** It has a pool, or its successor has. */
  | { readonly kind: 'serve' }
  | { readonly kind: 'refuse'; readonly why: string }

/** Decides what a request does that waits for a version without a pool. */
export function planColdStart(version: ColdVersion): ColdStartAction {
  if (version.hasSuccessor) return { kind: 'serve' }
  if (!version.isKnown) return { kind: 'refuse', why: 'it was unloaded' }
  if (version.isRefused) return { kind: 'refuse', why: 'the swap to it failed' }
  if (version.state === 'ready' || version.state === 'running') return { kind: 'serve' }
  return planReload(version.state, version.failure)
}

/** Decides whether a version that may be in error is loaded once more. */
export function planReload(state: LifecycleState, failure: LoadFailure): ColdStartAction {
  return state === 'error' && !mayRetry(failure)
    ? { kind: 'refuse', why: 'it is in error' }
    : { kind: 'load' }
}

/** A load may have failed for a passing reason, such as a file system that was away; a crash loop did not. */
function mayRetry({ agoMs, isCrashLoop, retryAfterMs }: LoadFailure): boolean {
  return agoMs !== undefined && !isCrashLoop && agoMs >= retryAfterMs
}

/** Decides what becomes of a version that was loaded for requests; `isPlain` if they did not name it. */
export function planAfterColdStart(isActive: boolean, isPlain: boolean): 'promote' | 'retire' | 'stay ready' {
  if (isActive) return 'promote'
  return isPlain ? 'retire' : 'stay ready'
}
