import { setTimeout as sleep } from 'node:timers/promises'
import { createRuntime, type ModelInput } from 'tbcoin-engine'
import { runOrder } from '../../harness/child.js'
import { isSameOutputs } from '../../subjects/plain.js'
import type { RateOrder, RateOutcome } from './order.js'

const REPLICAS = 2

/** Sends requests to the original and to the artifact in turn, so that a disturbance affects both. */
runOrder<RateOrder, RateOutcome>(async ({ source, cacheDir, inputs, callers, turns, turnMs }) => {
  await using runtime = await createRuntime({ logLevel: 'warn', cacheDir, artifacts: { minBytes: 0 } })
  const modelInputs = inputs as readonly ModelInput[]
  const sample = { input: modelInputs[0] as ModelInput }
  const load = (name: string, artifacts: 'auto' | 'off') =>
    runtime.models.loadModel({
      name,
      version: '1',
      source,
      config: { replicas: REPLICAS, batching: 'off', artifacts, sample },
    })
  await load('original', 'off')
  const { artifact } = (await load('artifact', 'auto')).stats()
  let differing = 0
  for (const input of modelInputs) {
    const [expected, outputs] = await Promise.all([
      runtime.predict('original', input),
      runtime.predict('artifact', input),
    ])
    if (!isSameOutputs(outputs, expected)) differing += 1
  }
  const rate = async (name: string): Promise<number> => {
    let isOver = false
    let completed = 0
    const call = async (index: number): Promise<void> => {
      for (let next = index; !isOver; next += 1) {
        await runtime.predict(name, modelInputs[next % modelInputs.length] as ModelInput)
        completed += 1
      }
    }
    const calls = Array.from({ length: callers }, (_, index) => call(index))
    const startedAt = performance.now()
    await sleep(turnMs)
    isOver = true
    await Promise.all(calls)
    return (completed / (performance.now() - startedAt)) * 1_000
  }
  const original: number[] = []
  const artifacts: number[] = []
  // The first runs warm up.
  for (const name of ['original', 'artifact']) await rate(name)
  for (let turn = 0; turn < turns; turn += 1) {
    const both = [
      async () => original.push(await rate('original')),
      async () => artifacts.push(await rate('artifact')),
    ]
    for (const measure of turn % 2 === 0 ? both : both.reverse()) await measure()
  }
  return { form: artifact?.form ?? 'original', original, artifact: artifacts, differing }
})
