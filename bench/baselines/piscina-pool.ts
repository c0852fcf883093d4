import { Piscina } from 'piscina'
import type { PlainInput, PlainOutputs } from '../subjects/plain.js'

/** Creates a pool as an application would write it: inputs are cloned, outputs are transferred. */
export function piscinaPool(
  source: string,
  threads: number,
  tasksPerWorker: number,
): Piscina<PlainInput, PlainOutputs> {
  return new Piscina<PlainInput, PlainOutputs>({
    filename: new URL('./piscina-pool-thread.js', import.meta.url).href,
    workerData: source,
    minThreads: threads,
    maxThreads: threads,
    concurrentTasksPerWorker: tasksPerWorker,
    atomics: 'disabled',
    recordTiming: false,
  })
}
