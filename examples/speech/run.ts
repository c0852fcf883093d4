import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { createRuntime, type Runtime } from 'tbcoin-engine'
import type { Clip } from './clip.js'
import { judge, type Verdict } from './judge.js'
import { type MemoryReading, readMemory } from './memory.js'
import type { Phases } from './phases.js'
import { showProgress } from './progress.js'
import { replay } from './replay.js'
import { Stream } from './stream.js'
import { Traffic } from './traffic.js'

export const MODEL = 'vad'
const STREAMS = 16
/** The timer's own period is in every value that `monitorEventLoopDelay` records. */
const LOOP_RESOLUTION_MS = 1
const STALLED_AFTER_MS = 20_000

export interface RunOptions {
  readonly clip: Clip
  readonly rounds: number
  /** Path of the model file of both versions. */
  readonly models: Readonly<Record<'5' | '6', string>>
}

export interface SwapTimes {
  readonly from: string | undefined
  readonly to: string
  readonly promotedMs: number
  readonly drainedMs: number
}

export interface RunResult {
  readonly durationMs: number
  readonly submitted: number
  readonly answered: number
  readonly rejected: ReadonlyMap<string, number>
  /** By the runtime's own counters. */
  readonly answeredBy: Readonly<Record<string, number>>
  /** On the answers that were kept. */
  readonly verdict: Verdict
  readonly firstPasses: readonly number[][]
  /** A stream of its own that began while version 6 was active, and kept to it. */
  readonly newVersionPass: readonly number[]
  readonly phases: ReturnType<Phases['summary']>
  readonly swaps: readonly SwapTimes[]
  readonly loopDelayP99Ms: number
  readonly memory: Readonly<Record<'before' | 'loaded' | 'after', MemoryReading>>
}

/** Streams speak, and while they do the model under them is swapped and swapped back. */
export async function run({ clip, rounds, models }: RunOptions): Promise<RunResult> {
  const before = await readMemory()
  await using runtime = await createRuntime({
    logLevel: 'warn',
    models: [{ name: MODEL, version: '5', source: models['5'] }],
  })
  const loaded = await readMemory()
  const traffic = new Traffic(runtime, MODEL, '5')
  const loop = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS })
  const total = rounds * STREAMS * clip.windows.length
  const hideProgress = showProgress(traffic, total)
  const startedAt = performance.now()
  loop.enable()
  try {
    const show = perform(runtime, traffic, clip, total, models['6'])
    const acts = await Promise.race([show, whenStalled(traffic)])
    const durationMs = performance.now() - startedAt
    loop.disable()
    hideProgress()
    const answeredBy = Object.fromEntries(
      runtime.models.listModels().map(({ version, stats }) => [version, stats.requests - stats.errors]),
    )
    const verdict = judge(traffic.kept, await replay({ questions: traffic.kept, models }))
    // They are the demo's memory, not the models'.
    traffic.kept.length = 0
    await runtime.models.cleanupUnusedModels({ maxAgeMs: 0 })
    const after = await readMemory()
    await runtime.close()
    return {
      ...acts,
      durationMs,
      submitted: traffic.submitted,
      answered: traffic.answered,
      rejected: traffic.rejected,
      answeredBy,
      verdict,
      phases: traffic.phases.summary(),
      loopDelayP99Ms: Math.max(0, loop.percentile(99) / 1e6 - LOOP_RESOLUTION_MS),
      memory: { before, loaded, after },
    }
  } finally {
    traffic.isOver = true
    hideProgress()
  }
}

async function perform(
  runtime: Runtime,
  traffic: Traffic,
  clip: Clip,
  total: number,
  source: string,
): Promise<Pick<RunResult, 'firstPasses' | 'newVersionPass' | 'swaps'>> {
  const oneRound = STREAMS * clip.windows.length
  const streams = Array.from({ length: STREAMS }, () => new Stream(clip, traffic))
  const firstPasses = streams.map((stream) => stream.firstPass())
  const endings = streams.map(async (stream, place) => {
    await firstPasses[place]
    await stream.goOn(place, () => traffic.isOver)
  })
  const swaps: SwapTimes[] = []
  const swap = async (order: () => ReturnType<Runtime['models']['rollback']>): Promise<void> => {
    traffic.phases.next()
    const startedAt = performance.now()
    const { from, to, drained } = await order()
    const promotedMs = performance.now() - startedAt
    await drained
    traffic.phases.next()
    swaps.push({ from, to, promotedMs, drainedMs: performance.now() - startedAt })
  }

  await Promise.all(firstPasses)
  await traffic.reached(total / 2)
  await swap(() => runtime.models.hotSwapModel({ name: MODEL, newVersion: '6', source }))
  const newVersionPass = await new Stream(clip, traffic, '6').firstPass()
  // However few rounds were asked for, there is one between the swaps and one after them.
  await traffic.reached(Math.max(total * 0.75, traffic.settled + oneRound))
  await swap(() => runtime.models.rollback(MODEL))
  await traffic.reached(Math.max(total, traffic.settled + oneRound))
  traffic.isOver = true
  await Promise.all(endings)
  return { firstPasses: await Promise.all(firstPasses), newVersionPass, swaps }
}

/** Rejects when requests are open and none has settled for long: those are lost, and waiting would not end. */
async function whenStalled(traffic: Traffic): Promise<never> {
  for (;;) {
    const { settled } = traffic
    await sleep(STALLED_AFTER_MS, undefined, { ref: false })
    if (traffic.settled === settled && traffic.submitted > settled) {
      throw new Error(`${traffic.submitted - settled} requests were lost: nothing is answered any more`)
    }
  }
}
