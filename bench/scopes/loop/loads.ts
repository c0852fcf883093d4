import { createRuntime } from 'tbcoin-engine'
import { startBareThreads, type Work } from '../../baselines/bare-threads.js'
import { SUBJECTS } from '../../subjects/subjects.js'
import type { Load, LoadOrder } from './order.js'

export const startLoad: Readonly<Record<Load, (order: LoadOrder) => Promise<Work>>> = {
  idle: async () => ({ runs: () => 0, stop: async () => undefined }),
  bare: (order) => startThreads({ ...order, niceIncrement: 0 }),
  'bare-nice': startThreads,
  runtime: startRuntime,
  main: startMain,
}

function startThreads({ subject, source, threads, niceIncrement }: LoadOrder): Promise<Work> {
  return startBareThreads({ source, input: SUBJECTS[subject].input(0), threads, niceIncrement })
}

async function startRuntime(order: LoadOrder): Promise<Work> {
  const { subject, source, cacheDir, threads, callers, niceIncrement } = order
  const runtime = await createRuntime({
    logLevel: 'warn',
    replicas: threads,
    niceIncrement,
    cacheDir,
    models: [{ name: subject, version: '1', source }],
  })
  const input = SUBJECTS[subject].input(0)
  await runtime.predict(subject, input)
  let runs = 0
  let isOver = false
  const loops = Array.from({ length: callers }, async () => {
    while (!isOver) {
      await runtime.predict(subject, input)
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
async function startMain({ subject, source }: LoadOrder): Promise<Work> {
  // Only here: onnxruntime-node has no business on this thread otherwise.
  const { feedsOf, plainSession } = await import('../../baselines/plain-run.js')
  const session = await plainSession(source)
  const feeds = feedsOf(SUBJECTS[subject].input(0))
  await session.run(feeds)
  let runs = 0
  let isOver = false
  const loop = (async () => {
    while (!isOver) {
      await session.run(feeds)
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
