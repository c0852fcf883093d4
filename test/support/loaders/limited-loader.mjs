// Runs in replica threads. The gated loader, limited to a number of successful loads.

import { load as loadGated } from './gated-loader.mjs'

/** @param options `loads`: shared memory with the number of loads so far and the maximum. */
export async function load(context) {
  const cells = new Int32Array(context.loaderOptions.loads)
  if (Atomics.add(cells, 0, 1) >= Atomics.load(cells, 1)) throw new Error('no more of them')
  return loadGated(context)
}
