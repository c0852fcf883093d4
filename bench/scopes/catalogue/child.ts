import { createRuntime, type Runtime } from 'tbcoin-engine'
import { runOrder } from '../../harness/child.js'
import { closedLoop } from '../../load/closed-loop.js'
import { OutputChecker } from '../../load/output-checker.js'
import type { TrafficFigures } from '../../load/traffic-figures.js'
import { inputsOf } from '../../subjects/subjects.js'
import type { CatalogueOrder, CatalogueOutcome } from './order.js'

const MODEL = 'in-use'
/** Number of threads at a time while models are loaded and evicted. */
const BATCH = 20

/** Sends requests to one model of a runtime that knows many cold ones. */
runOrder<CatalogueOrder, CatalogueOutcome>(
  async ({ source, cacheDir, threads, known, callers, references, ...timing }) => {
    const inputs = inputsOf('iris')
    const runtime = await createRuntime({
      logLevel: 'warn',
      cacheDir,
      replicas: threads,
      maxConcurrentLoads: threads,
    })
    for (let from = 0; from < known - 1; from += BATCH) {
      await makeKnown(runtime, source, from, Math.min(from + BATCH, known - 1))
    }
    await runtime.models.loadModel({ name: MODEL, version: '1', source })
    const loops: TrafficFigures[] = []
    for (const count of callers) {
      const send = (index: number) => runtime.predict(MODEL, inputs[index] ?? {})
      const options = { ...timing, callers: count, inputs: inputs.length }
      loops.push(await closedLoop(send, options, new OutputChecker(references)))
    }
    const models = runtime.models.listModels()
    const loaded = models.filter(({ stats }) => stats.pool !== undefined)
    await runtime.close()
    return { loops, known: models.length, loaded: loaded.length }
  },
)

/** Makes models known as a service does: each is loaded once, then evicted when it is unused. */
async function makeKnown(runtime: Runtime, source: string, from: number, to: number): Promise<void> {
  const names = Array.from({ length: to - from }, (_, index) => `model-${from + index}`)
  await Promise.all(
    names.map((name) => runtime.models.loadModel({ name, version: '1', source, config: { replicas: 1 } })),
  )
  await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
}
