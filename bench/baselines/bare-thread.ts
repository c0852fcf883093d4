import { setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { type BareThreadData, RUNS, STOP } from './bare-cells.js'
import { feedsOf, plainSession } from './plain-run.js'

const { source, input, niceIncrement, cells: memory, index } = workerData as BareThreadData
const cells = new Int32Array(memory)

// On Linux each thread has a niceness of its own.
if (niceIncrement > 0) setPriority(niceIncrement)
const session = await plainSession(source)
const feeds = feedsOf(input)
await session.run(feeds)
parentPort?.postMessage('ready')
while (Atomics.load(cells, STOP) === 0) {
  await session.run(feeds)
  Atomics.add(cells, RUNS + index, 1)
}
