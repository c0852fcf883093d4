import type { Runtime } from 'tbcoin-engine'
import { LatencyLog } from '../../harness/latency.js'
import { inputsOf, type SubjectName } from '../../subjects/subjects.js'

/** Callers in a closed loop, which keep apart the latencies during swaps and between them. */
export class HeavySwapCallers {
  completed = 0
  during = new LatencyLog()
  between = new LatencyLog()
  /** Number of begun and ended swaps: odd during a swap. */
  #phase = 0
  #isOver = false
  readonly #loops: Promise<unknown>

  constructor(runtime: Runtime, subject: SubjectName, callers: number) {
    const inputs = inputsOf(subject)
    const call = async (): Promise<void> => {
      while (!this.#isOver) {
        const phase = this.#phase
        const sentAtMs = performance.now()
        await runtime.predict(subject, inputs[this.completed % inputs.length] ?? {})
        const isBetween = phase === this.#phase && phase % 2 === 0
        ;(isBetween ? this.between : this.during).record(performance.now() - sentAtMs)
        this.completed += 1
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

  /** Forgets all latencies so far. */
  reset(): void {
    this.during = new LatencyLog()
    this.between = new LatencyLog()
  }

  /** Resolves when no request is open. */
  async stop(): Promise<void> {
    this.#isOver = true
    await this.#loops
  }
}
