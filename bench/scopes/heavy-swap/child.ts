import { setTimeout as sleep } from 'node:timers/promises'
import { createRuntime } from 'tbcoin-engine'
import { runOrder } from '../../harness/child.js'
import { LatencyLog } from '../../harness/latency.js'
import { HeavySwapCallers } from './callers.js'
import type { HeavySwapOrder, HeavySwapOutcome } from './order.js'

const WARM_UP_MS = 3_000

/** Swaps one model between two labels of the same file, under callers in a closed loop. */
runOrder<HeavySwapOrder, HeavySwapOutcome>(async (order) => {
  const { subject, source, cacheDir, callers: count, swaps } = order
  await using runtime = await createRuntime({
    logLevel: 'warn',
    cacheDir,
    models: [{ name: subject, version: 'a', source }],
  })
  const callers = new HeavySwapCallers(runtime, subject, count)
  const toPromote = new LatencyLog()
  const toDrained = new LatencyLog()
  await sleep(WARM_UP_MS)
  callers.reset()
  for (let swap = 0; swap < swaps; swap += 1) {
    callers.beginSwap()
    const startedAtMs = performance.now()
    const newVersion = swap % 2 === 0 ? 'b' : 'a'
    // Only the first swap passes the source; later ones find the version known.
    const { drained } = await runtime.models.hotSwapModel({
      name: subject,
      newVersion,
      ...(swap === 0 ? { source } : {}),
    })
    toPromote.record(performance.now() - startedAtMs)
    await drained
    const durationMs = performance.now() - startedAtMs
    toDrained.record(durationMs)
    callers.endSwap()
    // The pause is twice as long as the swap, so that both kinds of requests are many.
    await sleep(2 * durationMs)
  }
  await callers.stop()
  return {
    completed: callers.completed,
    during: callers.during.figures(),
    between: callers.between.figures(),
    toPromote: toPromote.figures(),
    toDrained: toDrained.figures(),
  }
})
