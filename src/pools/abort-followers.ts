/** What wants to know that a signal has aborted. */
export interface AbortFollower {
  aborted(reason: unknown): void
}

interface Following {
  readonly followers: Set<AbortFollower>
  readonly listener: () => void
}

/** One listener for all requests that share a signal: more than ten of them would look like a leak to Node. */
const FOLLOWINGS = new WeakMap<AbortSignal, Following>()

export function follow(signal: AbortSignal, follower: AbortFollower): void {
  let following = FOLLOWINGS.get(signal)
  if (following === undefined) {
    const followers = new Set<AbortFollower>()
    const listener = (): void => {
      for (const each of [...followers]) each.aborted(signal.reason)
    }
    following = { followers, listener }
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
