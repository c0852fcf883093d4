import type { LifecycleState } from '../../lifecycle/state-machine.js'

/** A version without a pool, at the time its load for requests begins. */
export interface ColdVersion {
  readonly state: LifecycleState
  /** False if it was unloaded meanwhile. */
  readonly isKnown: boolean
  /** True if an earlier load has registered the same label and source again. */
  readonly hasSuccessor: boolean
  /** True if the swap that was to load it has failed. */
  readonly isRefused: boolean
  readonly failure: LoadFailure
}

/** The last failure of a version, if there was one. */
export interface LoadFailure {
  /** Milliseconds since its last load failed; undefined if none has failed. */
  readonly agoMs: number | undefined
  /** True if its replicas exited more often than the crash budget allows. */
  readonly isCrashLoop: boolean
  /** Time after which a failed load may be retried. */
  readonly retryAfterMs: number
}

export type ColdStartAction =
  | { readonly kind: 'load' }
  /** The version or its successor has a pool. */
  | { readonly kind: 'serve' }
  | { readonly kind: 'refuse'; readonly reason: string }

/** Decides whether waiting requests load the version, run on it, or are refused. */
export function planColdStart(version: ColdVersion): ColdStartAction {
  if (version.hasSuccessor) return { kind: 'serve' }
  if (!version.isKnown) return { kind: 'refuse', reason: 'it was unloaded' }
  if (version.isRefused) return { kind: 'refuse', reason: 'the swap to it failed' }
  if (version.state === 'ready' || version.state === 'running') return { kind: 'serve' }
  return planReload(version.state, version.failure)
}

/** Decides whether a version in `state` is loaded again. */
export function planReload(state: LifecycleState, failure: LoadFailure): ColdStartAction {
  return state === 'error' && !mayRetry(failure)
    ? { kind: 'refuse', reason: 'it is in error' }
    : { kind: 'load' }
}

/** Returns true if the failure may have been temporary, such as an unavailable file system; a crash loop is not. */
function mayRetry({ agoMs, isCrashLoop, retryAfterMs }: LoadFailure): boolean {
  return agoMs !== undefined && !isCrashLoop && agoMs >= retryAfterMs
}

/** Decides the fate of a version that was loaded for requests; `isPlain` is true if they did not name it. */
export function planAfterColdStart(isActive: boolean, isPlain: boolean): 'promote' | 'retire' | 'stay ready' {
  if (isActive) return 'promote'
  return isPlain ? 'retire' : 'stay ready'
}
