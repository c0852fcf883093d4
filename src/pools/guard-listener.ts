import type { Outbox } from '../async/outbox.js'
import type { PoolListener } from './settings/pool-settings.js'

/**
 * Returns a listener that passes its calls on to `listener` when no operation of the pool is under way. Its methods
 * never throw: an error of `listener` is passed to `listener.unexpected`.
 */
export function guardListener(listener: PoolListener, outbox: Outbox): PoolListener {
  const unexpected = (error: unknown): void => {
    try {
      listener.unexpected(error)
    } catch {
      // There is no other place to report the error.
    }
  }
  const guarded =
    <Args extends unknown[]>(call: (...args: Args) => void) =>
    (...args: Args): void =>
      outbox.post(() => {
        try {
          call(...args)
        } catch (error) {
          unexpected(error)
        }
      })
  return {
    replicaLost: guarded((cause, restartInMs) => listener.replicaLost(cause, restartInMs)),
    replicaStuck: guarded((stuck) => listener.replicaStuck(stuck)),
    poolFailed: guarded((cause) => listener.poolFailed(cause)),
    batchingDecided: guarded((refusal) => listener.batchingDecided(refusal)),
    batchingFailed: guarded((reason) => listener.batchingFailed(reason)),
    unexpected,
  }
}
