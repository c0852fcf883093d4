import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { PlainInput, PlainOutputs } from '../subjects/plain.js'

/** Threads that each load the file, all at the same time, and run one request after another. */
export class NaivePool {
  readonly #workers: readonly Worker[]
  readonly #busy: Promise<unknown>[]
  #next = 0

  private constructor(workers: readonly Worker[]) {
    this.#workers = workers
    this.#busy = workers.map(() => Promise.resolve())
  }

  static async start(source: string, threads: number): Promise<NaivePool> {
    const workers = Array.from(
      { length: threads },
      () => new Worker(new URL('./naive-thread.js', import.meta.url), { workerData: source }),
    )
    await Promise.all(workers.map((worker) => once(worker, 'message')))
    return new NaivePool(workers)
  }

  /** Runs the request on the next thread in turn. */
  run(input: PlainInput): Promise<PlainOutputs> {
    const index = this.#next
    this.#next = (index + 1) % this.#workers.length
    const worker = this.#workers[index] as Worker
    const reply = (this.#busy[index] as Promise<unknown>).then(async () => {
      worker.postMessage(input)
      const [outputs] = (await once(worker, 'message')) as [PlainOutputs]
      return outputs
    })
    this.#busy[index] = reply
    return reply
  }

  async end(): Promise<void> {
    await Promise.all(this.#busy)
    const exits = this.#workers.map((worker) => once(worker, 'exit'))
    for (const worker of this.#workers) worker.postMessage('end')
    await Promise.all(exits)
  }
}
