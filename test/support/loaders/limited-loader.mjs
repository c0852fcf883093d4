// Runs in replica threads. The gated loader, of which only so many loads succeed.

import { load as loadGated } from './gated-loader.mjs'

/** @param options `loads`: shared memory with the number of loads so far and how many may succeed. */
export async function load(context) {
  const cells = new Int32Array(context.loaderOptions.loads)
  if (Atomics.add(cells, 0, 1) >= Atomics.load(cells, 1)) throw new Error('no more of them')
  return loadGated(context)
}
