import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { PlainInput } from '../subjects/plain.js'
import { type BareThreadData, RUNS, STOP } from './bare-cells.js'

/** Load that runs a model again and again until it is stopped. */
export interface RunLoop {
  /** Returns the number of runs so far. */
  runs(): number
  /** Resolves when the last run has returned. */
  stop(): Promise<void>
}

export interface BareThreadsOptions {
  readonly source: string
  readonly input: PlainInput
  readonly threads: number
  readonly niceIncrement: number
}

/** Starts threads that run the model in a loop, without requests and without transport. */
export async function startBareThreads(options: BareThreadsOptions): Promise<RunLoop> {
  const { source, input, threads, niceIncrement } = options
  const memory = new SharedArrayBuffer((RUNS + threads) * Int32Array.BYTES_PER_ELEMENT)
  const cells = new Int32Array(memory)
  const workers = Array.from({ length: threads }, (_, index) => {
    const workerData: BareThreadData = { source, input, niceIncrement, cells: memory, index }
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
