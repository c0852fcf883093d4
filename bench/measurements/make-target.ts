import { piscinaPool } from '../baselines/piscina-pool.js'
import { singleWorker } from '../baselines/single-worker.js'
import type { Target } from '../load/target.js'
import type { PlainInput } from '../subjects/plain.js'
import type { TargetOrder, TargetVariant } from './measurement-order.js'

type MakeTarget = (order: TargetOrder, inputs: readonly PlainInput[]) => Promise<Target>

export const makeTarget: Readonly<Record<TargetVariant, MakeTarget>> = {
  'lower-bound': async () =>
    singleWorker(new URL('../baselines/lower-bound-thread.js', import.meta.url), '', [{}]),
  'main-thread': mainThread,
  'baseline-worker': async ({ source }, inputs) =>
    singleWorker(new URL('../baselines/single-worker-thread.js', import.meta.url), source, inputs),
  'baseline-pool': async ({ source, threads, tasksPerWorker }, inputs) => {
    const pool = piscinaPool(source, threads, tasksPerWorker)
    return { send: (index) => pool.run(inputs[index] ?? {}), close: () => pool.destroy() }
  },
  runtime,
}

/** Runs the model on the main thread. */
async function mainThread({ source }: TargetOrder, inputs: readonly PlainInput[]): Promise<Target> {
  // Imported here only, since the other variants must not load onnxruntime-node on this thread.
  const { feedsOf, plainSession } = await import('../baselines/plain-run.js')
  const session = await plainSession(source)
  const feeds = inputs.map(feedsOf)
  return {
    send: (index) => session.run(feeds[index] ?? {}),
    close: () => session.release(),
  }
}

/** Runs the model in a runtime with default options. */
async function runtime(
  { subject, source, cacheDir, library, threads }: TargetOrder,
  inputs: readonly PlainInput[],
): Promise<Target> {
  const { createRuntime } = (await import(library)) as typeof import('tbcoin-engine')
  const engine = await createRuntime({
    logLevel: 'warn',
    replicas: threads,
    cacheDir,
    models: [{ name: subject, version: '1', source }],
  })
  return {
    send: (index) => engine.predict(subject, inputs[index] ?? {}),
    close: async () => {
      await engine.close()
    },
  }
}
