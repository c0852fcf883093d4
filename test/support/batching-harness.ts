import type { ModelHandle, PoolStats } from 'tbcoin-engine'

/** What is known of the sharing of runs by a version that is loaded. */
export function batchingOf(handle: ModelHandle): PoolStats['batching'] {
  const { pool } = handle.stats()
  if (pool === undefined) throw new Error('the version is cold')
  return pool.batching
}

/**
 * Asks one request after another until it is known whether they can share runs. However many that takes:
 * the proof goes on beside them in a tenth of the time, and slower on a busy machine.
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
