import { availableParallelism } from 'node:os'
import { setImmediate } from 'node:timers/promises'
import { createRuntime } from 'tbcoin-engine'
import { startBareThreads } from '../../baselines/bare-threads.js'
import { runOrder } from '../../harness/child.js'
import { openLoop } from '../../load/open-loop.js'
import { OutputChecker } from '../../load/output-checker.js'
import { makeKeeper } from './keepers.js'
import type { Beside, BesideOrder, BesideOutcome, Keeper } from './order.js'

const WARM_UP_MS = 1_000
const CORES = availableParallelism()

interface BesideLoad {
  changes(): number
  stop(): Promise<void>
}

/** Sends requests to a small model while a large one is loaded and swapped beside it, or threads are busy. */
runOrder<BesideOrder, BesideOutcome>(async (order) => {
  const { small, smallInput, cacheDir, ratePerSecond, durationMs } = order
  const models = [{ name: 'small', version: '1', source: small, config: { replicas: 1 } }]
  await using runtime = await createRuntime({ logLevel: 'warn', cacheDir, models })
  const load = await startBeside[order.beside](order)
  const { latency, rejected } = await openLoop(
    () => runtime.predict('small', smallInput),
    { ratePerSecond, durationMs, warmUpMs: WARM_UP_MS, inputs: 1 },
    new OutputChecker([]),
  )
  const changes = load.changes()
  await load.stop()
  return { latency, rejected, changes }
})

const startBeside: Readonly<Record<Beside, (order: BesideOrder) => Promise<BesideLoad>>> = {
  nothing: async () => ({ changes: () => 0, stop: async () => undefined }),
  bare: (order) => bareThreads(order, CORES),
  'bare-one': (order) => bareThreads(order, 1),
  runtime: (order) => changing('runtime', CORES, order),
  'runtime-one': (order) => changing('runtime', 1, order),
  naive: (order) => changing('naive', CORES, order),
  'naive-one': (order) => changing('naive', 1, order),
}

async function bareThreads({ sources, input }: BesideOrder, threads: number): Promise<BesideLoad> {
  const loop = await startBareThreads({ source: sources[0], input, threads, niceIncrement: 0 })
  return { changes: () => 0, stop: () => loop.stop() }
}

/** Loads, swaps and unloads a model without a pause. */
async function changing(
  kind: Keeper,
  replicas: number,
  { cacheDir, sources }: BesideOrder,
): Promise<BesideLoad> {
  const keeper = await makeKeeper[kind](cacheDir)
  let isOver = false
  let changes = 0
  const change = async (): Promise<void> => {
    while (!isOver) {
      await keeper.load(sources[0], replicas)
      await keeper.swap(sources[1])
      await keeper.swap(sources[0])
      await keeper.unload()
      changes += 3
      await setImmediate()
    }
    await keeper.close()
  }
  const running = change()
  return {
    changes: () => changes,
    stop: () => {
      isOver = true
      return running
    },
  }
}
