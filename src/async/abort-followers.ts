/** What wants to know that a signal has aborted. */
export interface AbortFollower {
  aborted(reason: unknown): void
}

interface Following {
  readonly followers: Set<AbortFollower>
  readonly listener: () => void
  /** Held, not read: see `sourcesOf`. */
  readonly sources: readonly unknown[]
}

/** Not a signal's own, which may be those of a class of the caller's. */
const { addEventListener, removeEventListener } = EventTarget.prototype

/** One listener for all requests that share a signal: more than ten of them would look like a leak to Node. */
const FOLLOWINGS = new WeakMap<AbortSignal, Following>()

/**
 * Tells the follower once the signal aborts, at once if it has.
 * @throws what an object throws that only looks like a signal
 */
export function follow(signal: AbortSignal, follower: AbortFollower): void {
  if (signal.aborted) {
    follower.aborted(reasonOf(signal))
    return
  }
  let following = FOLLOWINGS.get(signal)
  if (following === undefined) {
    const followers = new Set<AbortFollower>()
    const listener = (): void => {
      const reason = reasonOf(signal)
      for (const each of [...followers]) each.aborted(reason)
    }
    following = { followers, listener, sources: sourcesOf(signal) }
    addEventListener.call(signal, 'abort', listener, { once: true })
    FOLLOWINGS.set(signal, following)
  }
  following.followers.add(follower)
}

export function unfollow(signal: AbortSignal, follower: AbortFollower): void {
  const following = FOLLOWINGS.get(signal)
  if (following === undefined) return
  following.followers.delete(follower)
  if (following.followers.size > 0) return
  FOLLOWINGS.delete(signal)
  try {
    removeEventListener.call(signal, 'abort', following.listener)
  } catch {
    // Then it tells nobody.
  }
}

/** Anything can be the reason of an abort, also what throws when it is looked at. */
export function isTimeout(reason: unknown): boolean {
  try {
    return reason instanceof Error && reason.name === 'TimeoutError'
  } catch {
    return false
  }
}

/** A signal of a class of the caller's may throw. */
function reasonOf(signal: AbortSignal): unknown {
  try {
    return signal.reason
  } catch (error) {
    return error
  }
}

/**
 * What a signal of `AbortSignal.any` follows. On Node 20 it refers to them weakly, so that a timeout
 * among them that nobody else holds is collected and never comes (nodejs/node#57736).
 */
function sourcesOf(signal: AbortSignal): unknown[] {
  const symbol = Object.getOwnPropertySymbols(signal).find((key) => key.description === 'kSourceSignals')
  if (symbol === undefined) return []
  const sources = (signal as unknown as Record<symbol, Iterable<WeakRef<object>> | undefined>)[symbol]
  return sources === undefined ? [] : Array.from(sources, (source) => source.deref?.())
}
