import { createRuntime } from 'tbcoin-engine'
import { NaivePool } from '../../baselines/naive-pool.js'
import type { PlainInput } from '../../subjects/plain.js'
import type { Keeper } from './order.js'

/** Server of one model after another. */
export interface ModelKeeper {
  /** Resolves when every replica is ready. */
  load(source: string, replicas: number): Promise<void>
  predict(input: PlainInput): Promise<unknown>
  /** Replaces the model without a gap; resolves when the old one has stopped. */
  swap(source: string): Promise<void>
  unload(): Promise<void>
  close(): Promise<void>
}

const MODEL = 'm'

export const makeKeeper: Readonly<Record<Keeper, (cacheDir: string) => Promise<ModelKeeper>>> = {
  async runtime(cacheDir) {
    const runtime = await createRuntime({ logLevel: 'warn', cacheDir })
    let version = 0
    const load = (source: string, replicas: number) => ({
      name: MODEL,
      version: `${version}`,
      source,
      config: { replicas, batching: 'off' as const },
    })
    return {
      load: async (source, replicas) => {
        version += 1
        await runtime.models.loadModel(load(source, replicas))
      },
      predict: (input) => runtime.predict(MODEL, input),
      swap: async (source) => {
        const old = `${version}`
        version += 1
        const { drained } = await runtime.models.hotSwapModel({
          name: MODEL,
          newVersion: `${version}`,
          source,
        })
        await drained
        await runtime.models.unloadModel(MODEL, old)
      },
      unload: async () => {
        await runtime.models.unloadModel(MODEL)
      },
      close: async () => {
        await runtime.close()
      },
    }
  },
  async naive() {
    let pool: NaivePool | undefined
    let threads = 0
    const end = async (): Promise<void> => {
      await pool?.end()
      pool = undefined
    }
    return {
      load: async (source, replicas) => {
        threads = replicas
        pool = await NaivePool.start(source, replicas)
      },
      predict: (input) => (pool as NaivePool).run(input),
      swap: async (source) => {
        const old = pool
        pool = await NaivePool.start(source, threads)
        await old?.end()
      },
      unload: end,
      close: end,
    }
  },
}
