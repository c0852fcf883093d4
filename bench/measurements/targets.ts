import { handPool } from '../baselines/hand-pool.js'
import { handWorker } from '../baselines/hand-worker.js'
import type { Target } from '../load/target.js'
import type { PlainInput } from '../subjects/plain.js'
import type { TargetOrder, Variant } from './stretch-order.js'

/** The ceiling is missing: nobody asks its threads. */
export type AskedVariant = Exclude<Variant, 'ceiling' | 'ceiling-nice-0'>

type MakeTarget = (order: TargetOrder, inputs: readonly PlainInput[]) => Promise<Target>

export const makeTarget: Readonly<Record<AskedVariant, MakeTarget>> = {
  floor: async () => handWorker(new URL('../baselines/floor-thread.js', import.meta.url), '', [{}]),
  raw,
  worker: async ({ source }, inputs) =>
    handWorker(new URL('../baselines/hand-worker-thread.js', import.meta.url), source, inputs),
  hand: async ({ source, threads, tasksPerWorker }, inputs) => {
    const pool = handPool(source, threads, tasksPerWorker)
    return { ask: (index) => pool.run(inputs[index] ?? {}), close: () => pool.destroy() }
  },
  runtime,
}

/** On the main thread. */
async function raw({ source }: TargetOrder, inputs: readonly PlainInput[]): Promise<Target> {
  // Only here: with the other variants onnxruntime-node has no business on this thread.
  const { feedsOf, plainSession } = await import('../baselines/plain-run.js')
  const session = await plainSession(source)
  const feeds = inputs.map(feedsOf)
  return {
    ask: (index) => session.run(feeds[index] ?? {}),
    close: () => session.release(),
  }
}

/** With all its defaults. */
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
    ask: (index) => engine.predict(subject, inputs[index] ?? {}),
    close: async () => {
      await engine.close()
    },
  }
}
