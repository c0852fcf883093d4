import type { PoolListener } from './pool-settings.js'

/** The listener, whose methods throw no more: what they throw is unexpected, and goes there. */
export function undisturbed(listener: PoolListener): PoolListener {
  const unexpected = (error: unknown): void => {
    try {
      listener.unexpected(error)
    } catch {
      // There is nobody else to tell.
    }
  }
  const guarded =
    <Args extends unknown[]>(call: (...args: Args) => void) =>
    (...args: Args): void => {
      try {
        call(...args)
      } catch (error) {
        unexpected(error)
      }
    }
  return {
    replicaLost: guarded((cause, restartInMs) => listener.replicaLost(cause, restartInMs)),
    replicaStuck: guarded((stuck) => listener.replicaStuck(stuck)),
    poolFailed: guarded((cause) => listener.poolFailed(cause)),
    batchingDecided: guarded((refusal) => listener.batchingDecided(refusal)),
    batchingFailed: guarded((reason) => listener.batchingFailed(reason)),
    unexpected,
  }
}
