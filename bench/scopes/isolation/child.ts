import { createRuntime } from 'tbcoin-engine'
import { fulfil } from '../../harness/child.js'
import { AnswerChecker } from '../../load/answer-checker.js'
import { openLoop } from '../../load/open-loop.js'
import { inputsOf } from '../../subjects/subjects.js'
import { startNeighbour } from './neighbours.js'
import type { IsolationOrder, IsolationOutcome } from './order.js'

const MODEL = 'iris'
const CLOSE_MS = 1_000

/** Requests at a rate for one model of a runtime, with something else at work beside it. */
fulfil<IsolationOrder, IsolationOutcome>(async (order) => {
  const runtime = await createRuntime({
    // That its drain is cut short is meant.
    logLevel: 'error',
    replicas: order.threads,
    cacheDir: order.cacheDir,
    niceIncrement: order.niceIncrement,
    models: [{ name: MODEL, version: '1', source: order.source }],
  })
  const inputs = inputsOf('iris')
  const work = await startNeighbour[order.beside](runtime, order)
  const ask = (index: number) => runtime.predict(MODEL, inputs[index] ?? {})
  const startedAt = performance.now()
  const [runs, waiting] = [work.runs(), work.waiting()]
  const figures = await openLoop(
    ask,
    { ...order, inputs: inputs.length },
    new AnswerChecker(order.references),
  )
  const seconds = (performance.now() - startedAt) / 1_000
  const outcome = {
    ...figures,
    neighbourPerSecond: (work.runs() - runs) / seconds,
    waiting: Math.min(waiting, work.waiting()),
  }
  await work.stop()
  await runtime.close({ timeoutMs: CLOSE_MS })
  return outcome
})
