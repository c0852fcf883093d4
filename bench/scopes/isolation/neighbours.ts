import type { Runtime } from 'tbcoin-engine'
import { startBareThreads, type Work } from '../../baselines/bare-threads.js'
import { inputsOf, SUBJECTS } from '../../subjects/subjects.js'
import type { IsolationOrder, Neighbour } from './order.js'

const NAME = 'deep'

/** Work beside the model that is asked, and how many requests wait for it. */
export interface NeighbourWork extends Work {
  waiting(): number
}

export const startNeighbour: Readonly<
  Record<Neighbour, (runtime: Runtime, order: IsolationOrder) => Promise<NeighbourWork>>
> = {
  nothing: async () => ({ runs: () => 0, waiting: () => 0, stop: async () => undefined }),
  'bare-one': (_runtime, order) => bareThreads({ ...order, threads: 1 }),
  'bare-nice': (_runtime, order) => bareThreads(order),
  bare: (_runtime, order) => bareThreads({ ...order, niceIncrement: 0 }),
  deep: (runtime, order) => deepQueue(runtime, order, order.threads),
  'deep-one': (runtime, order) => deepQueue(runtime, order, 1),
}

async function bareThreads(order: IsolationOrder): Promise<NeighbourWork> {
  const { neighbour, neighbourSource, threads, niceIncrement } = order
  const input = SUBJECTS[neighbour].input(0)
  const work = await startBareThreads({ source: neighbourSource, input, threads, niceIncrement })
  return { ...work, waiting: () => 0 }
}

/** As many requests as the queue is to be deep, each of which is asked again when it is answered. */
async function deepQueue(runtime: Runtime, order: IsolationOrder, replicas: number): Promise<NeighbourWork> {
  const { neighbour, neighbourSource, depth } = order
  const config = { replicas, maxQueue: depth }
  const handle = await runtime.models.loadModel({ name: NAME, version: '1', source: neighbourSource, config })
  const inputs = inputsOf(neighbour)
  let runs = 0
  let isOver = false
  const ask = async (index: number): Promise<void> => {
    while (!isOver) {
      await runtime.predict(NAME, inputs[index % inputs.length] ?? {})
      runs += 1
    }
  }
  const refused = (error: unknown): void => {
    if (!isOver) throw error
  }
  for (let index = 0; index < depth; index += 1) void ask(index).catch(refused)
  return {
    runs: () => runs,
    waiting: () => handle.stats().queued,
    // Its requests are refused when the runtime is closed.
    stop: async () => {
      isOver = true
    },
  }
}
