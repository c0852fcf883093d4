import { runOrder } from '../harness/child.js'
import type { PlainInput } from '../subjects/plain.js'

export interface PrepareOrder {
  /** Module that the runtime is imported from. */
  readonly library: string
  /** Path of the model. */
  readonly source: string
  readonly cacheDir: string
  /** A valid input of the model. */
  readonly input: PlainInput
}

/** Lets the runtime build the artifact of a model; the result is the form that the runtime serves. */
runOrder<PrepareOrder, string>(async ({ library, source, cacheDir, input }) => {
  const { createRuntime } = (await import(library)) as typeof import('tbcoin-engine')
  await using runtime = await createRuntime({ logLevel: 'warn', cacheDir })
  const config = { replicas: 1, batching: 'off' as const, sample: { input } }
  const handle = await runtime.models.loadModel({ name: 'model', version: '1', source, config })
  return handle.stats().artifact?.form ?? 'original'
})
