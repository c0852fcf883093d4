/** An object that is notified when a signal aborts. */
export interface AbortFollower {
  aborted(reason: unknown): void
}

interface SharedListener {
  readonly followers: Set<AbortFollower>
  readonly listener: () => void
  /** Held so that they are not collected; never read. See `sourcesOf`. */
  readonly sources: readonly unknown[]
}

/** The methods of the prototype, because a signal may be of a caller's class that overrides them. */
const { addEventListener, removeEventListener } = EventTarget.prototype

/**
 * The listener of each signal. All requests that share a signal share one listener, because Node warns of a leak at
 * more than ten.
 */
const SHARED_LISTENERS = new WeakMap<AbortSignal, SharedListener>()

/**
 * Calls `follower.aborted` once the signal aborts, or immediately if it has aborted already.
 * @throws whatever an object throws that only looks like a signal
 */
export function follow(signal: AbortSignal, follower: AbortFollower): void {
  if (signal.aborted) {
    follower.aborted(reasonOf(signal))
    return
  }
  let shared = SHARED_LISTENERS.get(signal)
  if (shared === undefined) {
    const followers = new Set<AbortFollower>()
    const listener = (): void => {
      const reason = reasonOf(signal)
      for (const follower of [...followers]) follower.aborted(reason)
    }
    shared = { followers, listener, sources: sourcesOf(signal) }
    addEventListener.call(signal, 'abort', listener, { once: true })
    SHARED_LISTENERS.set(signal, shared)
  }
  shared.followers.add(follower)
}

export function unfollow(signal: AbortSignal, follower: AbortFollower): void {
  const shared = SHARED_LISTENERS.get(signal)
  if (shared === undefined) return
  shared.followers.delete(follower)
  if (shared.followers.size > 0) return
  SHARED_LISTENERS.delete(signal)
  try {
    removeEventListener.call(signal, 'abort', shared.listener)
  } catch {
    // The listener stays, but has no followers left.
  }
}

/**
 * Returns whether `reason` is the error of a timeout. A reason can be any value, including one that throws when it is
 * inspected.
 */
export function isTimeout(reason: unknown): boolean {
  try {
    return reason instanceof Error && reason.name === 'TimeoutError'
  } catch {
    return false
  }
}

/** Returns the signal's reason, or the error thrown by reading it: a signal of a caller's class may throw. */
function reasonOf(signal: AbortSignal): unknown {
  try {
    return signal.reason
  } catch (error) {
    return error
  }
}

/**
 * Returns the signals that a signal of `AbortSignal.any` depends on. Node 20 refers to them weakly, so that a timeout
 * among them without another reference is collected and never fires (nodejs/node#57736).
 */
function sourcesOf(signal: AbortSignal): unknown[] {
  const symbol = Object.getOwnPropertySymbols(signal).find((key) => key.description === 'kSourceSignals')
  if (symbol === undefined) return []
  const sources = (signal as unknown as Record<symbol, Iterable<WeakRef<object>> | undefined>)[symbol]
  return sources === undefined ? [] : Array.from(sources, (source) => source.deref?.())
}
