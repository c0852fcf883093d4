import { createRuntime } from 'tbcoin-engine'
import { type RunLoop, startBareThreads } from '../../baselines/bare-threads.js'
import { SUBJECTS } from '../../subjects/subjects.js'
import type { Load, LoadOrder } from './order.js'

export const startLoad: Readonly<Record<Load, (order: LoadOrder) => Promise<RunLoop>>> = {
  idle: async () => ({ runs: () => 0, stop: async () => undefined }),
  bare: (order) => startThreads({ ...order, niceIncrement: 0 }),
  'bare-nice': startThreads,
  runtime: startRuntime,
  main: startMain,
}

function startThreads({ subject, source, threads, niceIncrement }: LoadOrder): Promise<RunLoop> {
  return startBareThreads({ source, input: SUBJECTS[subject].input(0), threads, niceIncrement })
}

async function startRuntime(order: LoadOrder): Promise<RunLoop> {
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

/** Runs the model on the main thread, as an application should not. */
async function startMain({ subject, source }: LoadOrder): Promise<RunLoop> {
  // Imported here only, since the other loads must not load onnxruntime-node on this thread.
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
