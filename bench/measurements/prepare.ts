import { fulfil } from '../harness/child.js'
import type { PlainInput } from '../subjects/plain.js'

export interface PrepareOrder {
  /** What the runtime is imported from. */
  readonly library: string
  /** Path of the model. */
  readonly source: string
  readonly cacheDir: string
  /** A valid one. */
  readonly input: PlainInput
}

/** Has the runtime decide in which form it serves a model, and tells it. */
fulfil<PrepareOrder, string>(async ({ library, source, cacheDir, input }) => {
  const { createRuntime } = (await import(library)) as typeof import('tbcoin-engine')
  await using runtime = await createRuntime({ logLevel: 'warn', cacheDir })
  const config = { replicas: 1, batching: 'off' as const, sample: { input } }
  const handle = await runtime.models.loadModel({ name: 'model', version: '1', source, config })
  return handle.stats().artifact?.form ?? 'original'
})
