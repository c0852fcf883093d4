import type { Runtime } from 'tbcoin-engine'
import { type RunLoop, startBareThreads } from '../../baselines/bare-threads.js'
import { inputsOf, SUBJECTS } from '../../subjects/subjects.js'
import type { IsolationOrder, Neighbour } from './order.js'

const NAME = 'deep'

/** Load beside the model that receives the requests. */
export interface NeighbourLoop extends RunLoop {
  /** Returns the number of requests that wait for the neighbour. */
  waiting(): number
}

export const startNeighbour: Readonly<
  Record<Neighbour, (runtime: Runtime, order: IsolationOrder) => Promise<NeighbourLoop>>
> = {
  nothing: async () => ({ runs: () => 0, waiting: () => 0, stop: async () => undefined }),
  'bare-one': (_runtime, order) => bareThreads({ ...order, threads: 1 }),
  'bare-nice': (_runtime, order) => bareThreads(order),
  bare: (_runtime, order) => bareThreads({ ...order, niceIncrement: 0 }),
  deep: (runtime, order) => deepQueue(runtime, order, order.threads),
  'deep-one': (runtime, order) => deepQueue(runtime, order, 1),
}

async function bareThreads(order: IsolationOrder): Promise<NeighbourLoop> {
  const { neighbour, neighbourSource, threads, niceIncrement } = order
  const input = SUBJECTS[neighbour].input(0)
  const loop = await startBareThreads({ source: neighbourSource, input, threads, niceIncrement })
  return { ...loop, waiting: () => 0 }
}

/** Keeps `depth` requests open: each is sent again as soon as it has settled. */
async function deepQueue(runtime: Runtime, order: IsolationOrder, replicas: number): Promise<NeighbourLoop> {
  const { neighbour, neighbourSource, depth } = order
  const config = { replicas, maxQueue: depth }
  const handle = await runtime.models.loadModel({ name: NAME, version: '1', source: neighbourSource, config })
  const inputs = inputsOf(neighbour)
  let runs = 0
  let isOver = false
  const resend = async (index: number): Promise<void> => {
    while (!isOver) {
      await runtime.predict(NAME, inputs[index % inputs.length] ?? {})
      runs += 1
    }
  }
  const onRejection = (error: unknown): void => {
    if (!isOver) throw error
  }
  for (let index = 0; index < depth; index += 1) void resend(index).catch(onRejection)
  return {
    runs: () => runs,
    waiting: () => handle.stats().queued,
    // Closing the runtime rejects the open requests.
    stop: async () => {
      isOver = true
    },
  }
}
