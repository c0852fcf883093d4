import type { ModelHandle, PoolStats } from 'tbcoin-engine'

/** Returns the batching stats of a loaded version. */
export function batchingOf(handle: ModelHandle): PoolStats['batching'] {
  const { pool } = handle.stats()
  if (pool === undefined) throw new Error('the version is cold')
  return pool.batching
}

/**
 * Sends one request after another until batching is proven or refused, without a limit: the proof uses a
 * tenth of the time of the replica, and is slower on a busy machine.
 */
export async function decided(
  handle: ModelHandle,
  ask: (index: number) => Promise<unknown>,
): Promise<string> {
  for (let index = 0; ; index += 1) {
    const { state } = batchingOf(handle)
    if (state === 'proven' || state === 'refused' || state === 'off') return state
    await ask(index)
  }
}
