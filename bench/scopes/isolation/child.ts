import { createRuntime } from 'tbcoin-engine'
import { runOrder } from '../../harness/child.js'
import { openLoop } from '../../load/open-loop.js'
import { OutputChecker } from '../../load/output-checker.js'
import { inputsOf } from '../../subjects/subjects.js'
import { startNeighbour } from './neighbours.js'
import type { IsolationOrder, IsolationOutcome } from './order.js'

const MODEL = 'iris'
const CLOSE_MS = 1_000

/** Sends requests at a fixed rate to one model of a runtime, with a load beside it. */
runOrder<IsolationOrder, IsolationOutcome>(async (order) => {
  const runtime = await createRuntime({
    // The drain is cut short on purpose, which would log a warning.
    logLevel: 'error',
    replicas: order.threads,
    cacheDir: order.cacheDir,
    niceIncrement: order.niceIncrement,
    models: [{ name: MODEL, version: '1', source: order.source }],
  })
  const inputs = inputsOf('iris')
  const neighbour = await startNeighbour[order.beside](runtime, order)
  const send = (index: number) => runtime.predict(MODEL, inputs[index] ?? {})
  const startedAt = performance.now()
  const [runs, waiting] = [neighbour.runs(), neighbour.waiting()]
  const figures = await openLoop(
    send,
    { ...order, inputs: inputs.length },
    new OutputChecker(order.references),
  )
  const seconds = (performance.now() - startedAt) / 1_000
  const outcome = {
    ...figures,
    neighbourPerSecond: (neighbour.runs() - runs) / seconds,
    waiting: Math.min(waiting, neighbour.waiting()),
  }
  await neighbour.stop()
  await runtime.close({ timeoutMs: CLOSE_MS })
  return outcome
})
