import { monitorEventLoopDelay } from 'node:perf_hooks'
import { createRuntime, type Tensor } from 'tbcoin-engine'
import { runOrder } from '../../harness/child.js'
import type { PacksFigures, PacksOrder } from './order.js'

const MODEL = 'mean'
const WARM_UP_TURNS = 2
const NS_PER_MS = 1e6

/** Sends requests with large inputs and short runs, which copy more than they compute. */
runOrder<PacksOrder, PacksFigures>(async ({ source, cacheDir, inputBytes, callers, durationMs, options }) => {
  const runtime = await createRuntime({
    logLevel: 'warn',
    cacheDir,
    replicas: 1,
    batching: 'off',
    ...options,
    models: [{ name: MODEL, version: '1', source }],
  })
  const length = inputBytes / Float32Array.BYTES_PER_ELEMENT
  const inputs = Array.from({ length: callers }, (_, index): Tensor => {
    return { type: 'float32', dims: [1, length], data: new Float32Array(length).fill(index) }
  })
  const sendAll = (): Promise<unknown> => Promise.all(inputs.map((x) => runtime.predict(MODEL, { x })))
  for (let turn = 0; turn < WARM_UP_TURNS; turn += 1) await sendAll()
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const startedAtMs = performance.now()
  let completed = 0
  while (performance.now() - startedAtMs < durationMs) {
    await sendAll()
    completed += callers
  }
  const seconds = (performance.now() - startedAtMs) / 1_000
  delay.disable()
  await runtime.close()
  return {
    perSecond: completed / seconds,
    p50Ms: delay.percentile(50) / NS_PER_MS,
    p99Ms: delay.percentile(99) / NS_PER_MS,
  }
})
