import { setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { type BareThreadData, RUNS, STOP } from './bare-cells.js'
import { plainRun } from './ocr-run.js'

const { source, niceIncrement, cells: memory, index } = workerData as BareThreadData
const cells = new Int32Array(memory)

// On Linux the niceness is the thread's own.
if (niceIncrement > 0) setPriority(niceIncrement)
const run = await plainRun(source)
await run()
parentPort?.postMessage('ready')
while (Atomics.load(cells, STOP) === 0) {
  await run()
  Atomics.add(cells, RUNS + index, 1)
}
