import type { Outbox } from '../async/outbox.js'
import type { PoolListener } from './settings/pool-settings.js'

/**
 * Returns the listener as one whose methods are called when no operation of the pool is under way, and throw
 * no more: what they throw is unexpected, and goes there.
 */
export function undisturbed(listener: PoolListener, outbox: Outbox): PoolListener {
  const unexpected = (error: unknown): void => {
    try {
      listener.unexpected(error)
    } catch {
      // There is nobody else to tell.
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
