import { runChild } from '../../harness/child.js'
import { atMost, reported } from '../../harness/findings.js'
import type { Finding } from '../../harness/scope.js'
import { HEAVY } from '../../subjects/heavy.js'
import { CALLERS, CHILD_LIMIT_MS, type MemoryFiles, type MemoryOptions } from './files.js'
import { KEEPERS, type Keeper, type SwapsOrder, type SwapsOutcome } from './order.js'

/** Number of swaps after which memory should no longer grow. */
const SETTLED_SWAPS = 5
const MAX_GROWTH = 1.05

export type SwapOutcomes = Readonly<Record<Keeper, SwapsOutcome>>

/** Measures memory over swaps under load. */
export async function measureSwaps(
  { cacheDir, heavy, other }: MemoryFiles,
  { swaps }: MemoryOptions,
): Promise<SwapOutcomes> {
  const swap = (keeper: Keeper): Promise<SwapsOutcome> => {
    const order: SwapsOrder = {
      keeper,
      cacheDir,
      input: HEAVY.matmul.input,
      sources: [heavy.matmul, other],
      swaps,
      callers: CALLERS,
    }
    return runChild(new URL('./swaps-child.js', import.meta.url), order, CHILD_LIMIT_MS)
  }
  return { runtime: await swap('runtime'), naive: await swap('naive') }
}

export function swapFindings(swaps: SwapOutcomes): Finding[] {
  const growthOf = ({ pssBytes }: SwapsOutcome): number =>
    (pssBytes.at(-1) ?? Number.NaN) / (pssBytes[SETTLED_SWAPS - 1] ?? Number.NaN)
  const name = `memory after ${swaps.runtime.pssBytes.length} swaps under load / after ${SETTLED_SWAPS}`
  return [
    atMost(name, growthOf(swaps.runtime), MAX_GROWTH),
    reported(`${name}, naive pool`, growthOf(swaps.naive)),
  ]
}

export function swapFailures(swaps: SwapOutcomes): string[] {
  return KEEPERS.filter((keeper) => swaps[keeper].lost > 0).map(
    (keeper) => `${keeper}: ${swaps[keeper].lost} requests were lost in swaps`,
  )
}
