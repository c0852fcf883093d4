import { setTimeout as sleep } from 'node:timers/promises'
import { createRuntime, type Runtime } from 'tbcoin-engine'
import { fulfil } from '../../harness/child.js'
import { type LatencyFigures, LatencyLog } from '../../harness/latency.js'
import { inputsOf, type SubjectName } from '../../subjects/subjects.js'

export interface HeavySwapOrder {
  readonly subject: SubjectName
  readonly source: string
  readonly cacheDir: string
  readonly callers: number
  readonly swaps: number
}

export interface HeavySwapOutcome {
  readonly answered: number
  /** Requests that were under way at some moment of a swap, from its call until the old version was gone. */
  readonly during: LatencyFigures
  readonly between: LatencyFigures
  /** Milliseconds from the call to the promotion, and until the old version was gone. */
  readonly toPromote: LatencyFigures
  readonly toDrained: LatencyFigures
}

const WARM_UP_MS = 3_000

/** Swaps one model between two labels of the same file, under callers that each wait for their answer. */
fulfil<HeavySwapOrder, HeavySwapOutcome>(async ({ subject, source, cacheDir, callers, swaps }) => {
  await using runtime = await createRuntime({
    logLevel: 'warn',
    cacheDir,
    models: [{ name: subject, version: 'a', source }],
  })
  const load = new Load(runtime, subject, callers)
  const toPromote = new LatencyLog()
  const toDrained = new LatencyLog()
  await sleep(WARM_UP_MS)
  load.forget()
  for (let swap = 0; swap < swaps; swap += 1) {
    load.beginSwap()
    const startedAtMs = performance.now()
    const newVersion = swap % 2 === 0 ? 'b' : 'a'
    // The source is given the first time only; after that the version is known.
    const { drained } = await runtime.models.hotSwapModel({
      name: subject,
      newVersion,
      ...(swap === 0 ? { source } : {}),
    })
    toPromote.record(performance.now() - startedAtMs)
    await drained
    const durationMs = performance.now() - startedAtMs
    toDrained.record(durationMs)
    load.endSwap()
    // Twice as long without a swap, so that both kinds of requests are many.
    await sleep(2 * durationMs)
  }
  await load.stop()
  return {
    answered: load.answered,
    during: load.during.figures(),
    between: load.between.figures(),
    toPromote: toPromote.figures(),
    toDrained: toDrained.figures(),
  }
})

/** Callers in a closed loop, whose latencies are sorted by whether a swap was under way meanwhile. */
class Load {
  answered = 0
  during = new LatencyLog()
  between = new LatencyLog()
  /** Odd while a swap is under way. */
  #phase = 0
  #isOver = false
  readonly #loops: Promise<unknown>

  constructor(runtime: Runtime, subject: SubjectName, callers: number) {
    const inputs = inputsOf(subject)
    const call = async (): Promise<void> => {
      while (!this.#isOver) {
        const phase = this.#phase
        const sentAtMs = performance.now()
        await runtime.predict(subject, inputs[this.answered % inputs.length] ?? {})
        const isBetween = phase === this.#phase && phase % 2 === 0
        ;(isBetween ? this.between : this.during).record(performance.now() - sentAtMs)
        this.answered += 1
      }
    }
    this.#loops = Promise.all(Array.from({ length: callers }, call))
  }

  beginSwap(): void {
    this.#phase += 1
  }

  endSwap(): void {
    this.#phase += 1
  }

  forget(): void {
    this.during = new LatencyLog()
    this.between = new LatencyLog()
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await this.#loops
  }
}
