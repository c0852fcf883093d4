import { runOrder } from '../../harness/child.js'
import { median } from '../../harness/latency.js'

export interface CachedLoadsOrder {
  /** Module that the runtime is imported from. */
  readonly library: string
  /** Path of a model whose artifact is in `cacheDir`. */
  readonly source: string
  readonly cacheDir: string
  readonly replicas: number
  readonly rounds: number
}

/** Measures the time in milliseconds from a load until all replicas serve; the result is the median of the rounds. */
runOrder<CachedLoadsOrder, number>(async ({ library, source, cacheDir, replicas, rounds }) => {
  const { createRuntime } = (await import(library)) as typeof import('tbcoin-engine')
  await using runtime = await createRuntime({ logLevel: 'warn', cacheDir, replicas })
  const timesMs: number[] = []
  // One extra round, for one-time work of the process.
  for (let round = 0; round <= rounds; round += 1) {
    const startedAt = performance.now()
    const handle = await runtime.models.loadModel({ name: 'model', version: '1', source })
    await handle.resize(replicas)
    timesMs.push(performance.now() - startedAt)
    await runtime.models.unloadModel('model')
  }
  return median(timesMs.slice(1))
})
