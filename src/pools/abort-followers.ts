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

/** One listener for all requests that share a signal: more than ten of them would look like a leak to Node. */
const FOLLOWINGS = new WeakMap<AbortSignal, Following>()

/** Tells the follower once the signal aborts, at once if it has. */
export function follow(signal: AbortSignal, follower: AbortFollower): void {
  if (signal.aborted) {
    follower.aborted(signal.reason)
    return
  }
  let following = FOLLOWINGS.get(signal)
  if (following === undefined) {
    const followers = new Set<AbortFollower>()
    const listener = (): void => {
      for (const each of [...followers]) each.aborted(signal.reason)
    }
    following = { followers, listener, sources: sourcesOf(signal) }
    FOLLOWINGS.set(signal, following)
    signal.addEventListener('abort', listener, { once: true })
  }
  following.followers.add(follower)
}

export function unfollow(signal: AbortSignal, follower: AbortFollower): void {
  const following = FOLLOWINGS.get(signal)
  if (following === undefined) return
  following.followers.delete(follower)
  if (following.followers.size > 0) return
  FOLLOWINGS.delete(signal)
  signal.removeEventListener('abort', following.listener)
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
