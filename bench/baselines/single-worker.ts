import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { Target } from '../load/target.js'
import type { PlainInput, PlainOutputs } from '../subjects/plain.js'

export interface SingleWorkerReply {
  readonly id: number
  readonly outputs?: PlainOutputs
}

/** Starts one worker thread without a pool: `postMessage` both ways, with an id that pairs reply and request. */
export async function singleWorker(
  script: URL,
  source: string,
  inputs: readonly PlainInput[],
): Promise<Target> {
  const worker = new Worker(script, { workerData: source })
  await once(worker, 'message')
  const waiting = new Map<number, (outputs: PlainOutputs | undefined) => void>()
  let lastId = 0
  worker.on('message', ({ id, outputs }: SingleWorkerReply) => {
    waiting.get(id)?.(outputs)
    waiting.delete(id)
  })
  return {
    send: (index) =>
      new Promise((resolve) => {
        lastId += 1
        waiting.set(lastId, resolve)
        worker.postMessage({ id: lastId, input: inputs[index] })
      }),
    close: async () => {
      await worker.terminate()
    },
  }
}
