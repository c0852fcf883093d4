import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { Target } from '../load/target.js'
import type { PlainInput, PlainOutputs } from '../subjects/plain.js'

export interface HandReply {
  readonly id: number
  readonly outputs?: PlainOutputs
}

/** One worker without a pool: `postMessage` there, `postMessage` back, matched by a number. */
export async function handWorker(
  script: URL,
  source: string,
  inputs: readonly PlainInput[],
): Promise<Target> {
  const worker = new Worker(script, { workerData: source })
  await once(worker, 'message')
  const waiting = new Map<number, (outputs: PlainOutputs | undefined) => void>()
  let last = 0
  worker.on('message', ({ id, outputs }: HandReply) => {
    waiting.get(id)?.(outputs)
    waiting.delete(id)
  })
  return {
    ask: (index) =>
      new Promise((resolve) => {
        last += 1
        waiting.set(last, resolve)
        worker.postMessage({ id: last, input: inputs[index] })
      }),
    close: async () => {
      await worker.terminate()
    },
  }
}
