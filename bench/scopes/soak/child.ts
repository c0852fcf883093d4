import { readdirSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createRuntime, isRuntimeError, type Runtime } from 'tbcoin-engine'
import { readMemory } from '../../../examples/speech/memory.js'
import { runOrder } from '../../harness/child.js'
import { LatencyLog } from '../../harness/latency.js'
import { type SoakOrder, type SoakOutcome, type SoakSample, SWAPPED } from './order.js'
import { SoakTraffic } from './traffic.js'

const NANOSECONDS = 1e6
const DELAY_RESOLUTION_MS = 5

/** Serves mixed load with swaps and exits of replicas, and samples the state of the process. */
runOrder<SoakOrder, SoakOutcome>(async (order, parent) => {
  process.env.MEAN_LIFE_MS = String(order.meanLifeMs)
  const runtime = await createRuntime({
    logLevel: 'silent',
    cacheDir: order.cacheDir,
    replicas: 2,
    replicaExecArgv: ['--require', fileURLToPath(new URL('./random-exit.cjs', import.meta.url))],
    replicaEnv: { MEAN_LIFE_MS: String(order.meanLifeMs) },
    // Replicas exit on purpose here, so that no number of exits may count as a crash loop.
    crashBudget: 1_000,
    models: order.models.map(({ subject, sources: [source] }) => ({
      name: subject,
      version: '1',
      source: source as string,
    })),
  })
  let replicaExits = 0
  runtime.on('replicaExited', () => {
    replicaExits += 1
  })
  const traffic = order.models.map((model) => new SoakTraffic(runtime, model))
  const swapping = new Swapping(runtime, order)
  const samples: SoakSample[] = []
  const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS })
  delay.enable()
  const startedAtMs = performance.now()
  for (let atMs = order.sampleMs; atMs <= order.durationMs; atMs += order.sampleMs) {
    await sleep(Math.max(0, startedAtMs + atMs - performance.now()))
    const loopDelayP99Ms = Math.max(0, delay.percentile(99) / NANOSECONDS - DELAY_RESOLUTION_MS)
    delay.reset()
    const sample = await takeSample(atMs, order, traffic, loopDelayP99Ms)
    samples.push(sample)
    parent.report('sample', sample)
  }
  for (const modelTraffic of traffic) modelTraffic.stop()
  await swapping.stop()
  await runtime.close({ timeoutMs: 30_000 })
  const sum = (countOf: (modelTraffic: SoakTraffic) => number): number =>
    traffic.reduce((total, modelTraffic) => total + countOf(modelTraffic), 0)
  return {
    samples,
    submitted: sum(({ submitted }) => submitted),
    completed: sum(({ completed }) => completed),
    rejected: addUp(traffic.map(({ rejected }) => rejected)),
    open: sum(({ open }) => open),
    compared: sum(({ compared }) => compared),
    wrong: sum(({ wrong }) => wrong),
    swaps: swapping.done,
    failedSwaps: swapping.failed,
    replicaExits,
  }
})

/** Swaps one model to its other version and back, at a constant rate. */
class Swapping {
  done = 0
  readonly failed: Record<string, number> = {}
  readonly #runtime: Runtime
  readonly #order: SoakOrder
  readonly #stopped = new AbortController()
  readonly #over: Promise<void>

  constructor(runtime: Runtime, order: SoakOrder) {
    this.#runtime = runtime
    this.#order = order
    this.#over = this.#run()
  }

  stop(): Promise<void> {
    this.#stopped.abort()
    return this.#over
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped
    const sources = this.#order.models.find(({ subject }) => subject === SWAPPED)?.sources ?? []
    for (let turn = 1; !signal.aborted; turn += 1) {
      await sleep(this.#order.swapMs, undefined, { signal }).catch(() => undefined)
      if (signal.aborted) return
      // Every version is unloaded after its turn, so that every swap loads a new one.
      const newVersion = String(turn + 1)
      const source = sources[turn % sources.length] as string
      try {
        const { drained } = await this.#runtime.models.hotSwapModel({ name: SWAPPED, newVersion, source })
        await drained
        await this.#runtime.models.unloadModel(SWAPPED, String(turn))
        this.done += 1
      } catch (error) {
        const code = isRuntimeError(error) ? error.code : String(error)
        this.failed[code] = (this.failed[code] ?? 0) + 1
        turn -= 1
      }
    }
  }
}

async function takeSample(
  atMs: number,
  { models }: SoakOrder,
  traffic: readonly SoakTraffic[],
  loopDelayP99Ms: number,
): Promise<SoakSample> {
  const p99Ms: Record<string, number> = {}
  for (const [index, { subject }] of models.entries()) {
    const modelTraffic = traffic[index] as SoakTraffic
    p99Ms[subject] = modelTraffic.log.figures().p99Ms
    modelTraffic.log = new LatencyLog()
  }
  const { anonymousBytes } = await readMemory()
  return {
    atMs,
    anonymousBytes: anonymousBytes ?? process.memoryUsage.rss(),
    heapBytes: process.memoryUsage().heapUsed,
    descriptors: readdirSync('/proc/self/fd').length,
    threads: readdirSync('/proc/self/task').length,
    listeners: process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0),
    loopDelayP99Ms,
    p99Ms,
  }
}

function addUp(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const total: Record<string, number> = {}
  for (const record of counts) {
    for (const [name, count] of Object.entries(record)) total[name] = (total[name] ?? 0) + count
  }
  return total
}
