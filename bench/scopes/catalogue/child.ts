import { createRuntime, type Runtime } from 'tbcoin-engine'
import { fulfil } from '../../harness/child.js'
import { AnswerChecker } from '../../load/answer-checker.js'
import { closedLoop } from '../../load/closed-loop.js'
import type { TrafficFigures } from '../../measurements/stretch-order.js'
import { inputsOf } from '../../subjects/subjects.js'
import type { CatalogueOrder, CatalogueOutcome } from './order.js'

const MODEL = 'in-use'
/** Threads that there may be at a time while models are made known. */
const BATCH = 20

/** Requests to one model among many that are known and cold. */
fulfil<CatalogueOrder, CatalogueOutcome>(
  async ({ source, cacheDir, threads, known, callers, references, ...timing }) => {
    const inputs = inputsOf('iris')
    const runtime = await createRuntime({
      logLevel: 'warn',
      cacheDir,
      replicas: threads,
      maxConcurrentLoads: threads,
    })
    for (let made = 0; made < known - 1; made += BATCH) {
      await makeKnown(runtime, source, made, Math.min(made + BATCH, known - 1))
    }
    await runtime.models.loadModel({ name: MODEL, version: '1', source })
    const loops: TrafficFigures[] = []
    for (const each of callers) {
      const ask = (index: number) => runtime.predict(MODEL, inputs[index] ?? {})
      const options = { ...timing, callers: each, inputs: inputs.length }
      loops.push(await closedLoop(ask, options, new AnswerChecker(references)))
    }
    const models = runtime.models.listModels()
    const loaded = models.filter(({ stats }) => stats.pool !== undefined)
    await runtime.close()
    return { loops, known: models.length, loaded: loaded.length }
  },
)

/** As a service gets there: each model was loaded once, and evicted when nobody used it. */
async function makeKnown(runtime: Runtime, source: string, from: number, to: number): Promise<void> {
  const names = Array.from({ length: to - from }, (_, index) => `model-${from + index}`)
  await Promise.all(
    names.map((name) => runtime.models.loadModel({ name, version: '1', source, config: { replicas: 1 } })),
  )
  await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
}
