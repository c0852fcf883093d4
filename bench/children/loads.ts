import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { createRuntime } from 'tbcoin-engine'
import { type BareThreadData, RUNS, STOP } from './bare-cells.js'
import type { Load, LoadOrder } from './loop-orders.js'
import { ocrInput } from './ocr-input.js'

/** Something that keeps running a model until it is stopped. */
export interface Work {
  /** Runs finished so far. */
  runs(): number
  /** Resolves when nothing runs any more. */
  stop(): Promise<void>
}

export const startLoad: Readonly<Record<Load, (order: LoadOrder) => Promise<Work>>> = {
  idle: async () => ({ runs: () => 0, stop: async () => undefined }),
  bare: (order) => startThreads({ ...order, niceIncrement: 0 }),
  'bare-nice': startThreads,
  runtime: startRuntime,
  main: startMain,
}

/** Threads that run the model in a loop: no requests, no transport. */
async function startThreads({ source, threads, niceIncrement }: LoadOrder): Promise<Work> {
  const memory = new SharedArrayBuffer((RUNS + threads) * Int32Array.BYTES_PER_ELEMENT)
  const cells = new Int32Array(memory)
  const workers = Array.from({ length: threads }, (_, index) => {
    const workerData: BareThreadData = { source, niceIncrement, cells: memory, index }
    return new Worker(new URL('./bare-thread.js', import.meta.url), { workerData })
  })
  await Promise.all(workers.map((worker) => once(worker, 'message')))
  return {
    runs: () => cells.subarray(RUNS).reduce((sum, count) => sum + count, 0),
    stop: async () => {
      const exits = workers.map((worker) => once(worker, 'exit'))
      Atomics.store(cells, STOP, 1)
      await Promise.all(exits)
    },
  }
}

async function startRuntime({ source, threads, callers, niceIncrement }: LoadOrder): Promise<Work> {
  const runtime = await createRuntime({
    logLevel: 'warn',
    replicas: threads,
    niceIncrement,
    models: [{ name: 'ocr-rec', version: '4', source }],
  })
  const { dims, data } = ocrInput()
  const input = { x: { type: 'float32' as const, dims, data } }
  await runtime.predict('ocr-rec', input)
  let runs = 0
  let isOver = false
  const loops = Array.from({ length: callers }, async () => {
    while (!isOver) {
      await runtime.predict('ocr-rec', input)
      runs += 1
    }
  })
  return {
    runs: () => runs,
    stop: async () => {
      isOver = true
      await Promise.all(loops)
      await runtime.close()
    },
  }
}

/** What not to do. */
async function startMain({ source }: LoadOrder): Promise<Work> {
  const { plainRun } = await import('./ocr-run.js')
  const run = await plainRun(source)
  await run()
  let runs = 0
  let isOver = false
  const loop = (async () => {
    while (!isOver) {
      await run()
      runs += 1
    }
  })()
  return {
    runs: () => runs,
    stop: () => {
      isOver = true
      return loop
    },
  }
}
