import { Piscina } from 'piscina'
import type { PlainInput, PlainOutputs } from '../subjects/plain.js'

/** The pool that one writes by hand: inputs by structured clone, outputs by transfer. */
export function handPool(
  source: string,
  threads: number,
  tasksPerWorker: number,
): Piscina<PlainInput, PlainOutputs> {
  return new Piscina<PlainInput, PlainOutputs>({
    filename: new URL('./hand-pool-thread.js', import.meta.url).href,
    workerData: source,
    minThreads: threads,
    maxThreads: threads,
    concurrentTasksPerWorker: tasksPerWorker,
    atomics: 'disabled',
    recordTiming: false,
  })
}
