import { readMemory } from '../../../examples/speech/memory.js'
import { runOrder } from '../../harness/child.js'
import { makeKeeper } from './keepers.js'
import type { SwapsOrder, SwapsOutcome } from './order.js'

const REPLICAS = 2

/** Swaps two versions under callers in a closed loop. */
runOrder<SwapsOrder, SwapsOutcome>(async ({ keeper: kind, cacheDir, sources, swaps, callers, input }) => {
  const keeper = await makeKeeper[kind](cacheDir)
  await keeper.load(sources[0], REPLICAS)
  let isOver = false
  let completed = 0
  let lost = 0
  const call = async (): Promise<void> => {
    while (!isOver) {
      try {
        await keeper.predict(input)
        completed += 1
      } catch {
        lost += 1
      }
    }
  }
  const calls = Array.from({ length: callers }, call)
  const pssBytes: number[] = []
  for (let swap = 1; swap <= swaps; swap += 1) {
    await keeper.swap(sources[swap % 2] as string)
    pssBytes.push((await readMemory()).pssBytes)
  }
  isOver = true
  await Promise.all(calls)
  await keeper.close()
  return { pssBytes, completed, lost }
})
