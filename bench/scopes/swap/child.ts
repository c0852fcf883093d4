import { setTimeout as sleep } from 'node:timers/promises'
import { createRuntime, type Runtime } from 'tbcoin-engine'
import { readMemory } from '../../../examples/speech/memory.js'
import { runOrder } from '../../harness/child.js'
import { Latencies } from '../../harness/latency.js'
import { SwapCallers } from './callers.js'
import type { MemoryAt, SwapOrder, SwapOutcome } from './order.js'

const WARM_UP_MS = 2_000
const STALLED_AFTER_MS = 20_000
const MEMORY_EVERY = 10

/** Swaps two versions under callers and counts lost requests and wrong versions. */
runOrder<SwapOrder, SwapOutcome>(async (order, parent) => {
  await using runtime = await createRuntime({
    logLevel: 'warn',
    cacheDir: order.cacheDir,
    models: [{ name: order.model, version: '5', source: order.models['5'] }],
  })
  const callers = new SwapCallers(runtime, order)
  const toPromote = new Latencies()
  const toDrained = new Latencies()
  const memory: MemoryAt[] = []
  let swaps = 0
  const swapAll = async (): Promise<void> => {
    callers.resume()
    await sleep(WARM_UP_MS)
    while (swaps < order.swaps) {
      const durationMs = await swap(runtime, order, swaps, callers, toPromote, toDrained)
      swaps += 1
      // The pause is as long as the swap.
      await sleep(durationMs)
      if (swaps % MEMORY_EVERY !== 0 && swaps !== order.swaps) continue
      await callers.pause()
      memory.push({ swaps, ...(await readMemory()) })
      parent.report('progress', swaps)
      if (swaps < order.swaps) callers.resume()
    }
  }
  const startedAt = performance.now()
  await Promise.race([swapAll(), whenStalled(callers)])
  const durationMs = performance.now() - startedAt
  await runtime.close({ timeoutMs: 5_000 })
  const { submitted, completed, rejected, open, wrongVersion, unknownOutputs } = callers
  return {
    durationMs,
    submitted,
    completed,
    rejected,
    open,
    wrongVersion,
    unknownOutputs,
    swaps,
    toPromote: toPromote.figures(),
    toDrained: toDrained.figures(),
    duringSwap: callers.duringSwap.figures(),
    steady: callers.steady.figures(),
    memory,
  }
})

/** Swaps to the other version; resolves with the time until the old one had stopped. */
async function swap(
  runtime: Runtime,
  { model, models }: SwapOrder,
  count: number,
  callers: SwapCallers,
  toPromote: Latencies,
  toDrained: Latencies,
): Promise<number> {
  callers.phase += 1
  const startedAt = performance.now()
  // Only the first swap passes the source; later ones find the version known.
  const { drained } = await runtime.models.hotSwapModel(
    count === 0
      ? { name: model, newVersion: '6', source: models['6'] }
      : { name: model, newVersion: count % 2 === 0 ? '6' : '5' },
  )
  toPromote.record(performance.now() - startedAt)
  await drained
  const durationMs = performance.now() - startedAt
  toDrained.record(durationMs)
  callers.phase += 1
  return durationMs
}

/** Resolves when open requests have not settled for a long time, which means that they are lost. */
async function whenStalled(callers: SwapCallers): Promise<void> {
  for (;;) {
    const { settled } = callers
    await sleep(STALLED_AFTER_MS, undefined, { ref: false })
    if (callers.open > 0 && callers.settled === settled) return
  }
}
