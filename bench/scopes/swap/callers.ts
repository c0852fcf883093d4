import { setImmediate } from 'node:timers/promises'
import { isRuntimeError, type Runtime, type Tensor } from 'tbcoin-engine'
import { isSameAnswer } from '../../../examples/speech/judge.js'
import { Latencies } from '../../harness/latency.js'
import { type SwapOrder, type SwapQuestion, VERSIONS, type Version } from './order.js'

/** Closed-loop callers: each sends its next request when it has the answer to the last. */
export class SwapCallers {
  submitted = 0
  open = 0
  readonly answered: Record<Version, number> = { '5': 0, '6': 0 }
  readonly rejected: Record<string, number> = {}
  wrongVersion = 0
  foreign = 0
  readonly duringSwap = new Latencies()
  readonly steady = new Latencies()
  /** Odd while a swap is under way. */
  phase = 0
  readonly #runtime: Runtime
  readonly #order: SwapOrder
  #active: Version = '5'
  #running: Promise<unknown> = Promise.resolve()
  #isPaused = true

  constructor(runtime: Runtime, order: SwapOrder) {
    this.#runtime = runtime
    this.#order = order
    // In the same tick as the flip, so it tells to which version a request is admitted.
    runtime.on('promoted', ({ to }) => {
      this.#active = to as Version
    })
  }

  get settled(): number {
    return this.submitted - this.open
  }

  resume(): void {
    this.#isPaused = false
    const { callers, questions } = this.#order
    this.#running = Promise.all(
      Array.from({ length: callers }, async (_, caller) => {
        // No two callers ask the same at a time as long as there are enough questions.
        for (let index = caller; !this.#isPaused; index += callers) await this.#ask(index % questions.length)
      }),
    )
  }

  /** Resolves when no request is open any more. */
  async pause(): Promise<void> {
    this.#isPaused = true
    await this.#running
  }

  async #ask(index: number): Promise<void> {
    const { model, questions } = this.#order
    const { input, state } = questions[index] as SwapQuestion
    const expected = this.#active
    const startedIn = this.phase
    const startedAt = performance.now()
    this.submitted += 1
    this.open += 1
    try {
      const outputs = await this.#runtime.predict(model, {
        input,
        state: { type: 'float32', dims: [2, 1, 128], data: state },
        sr: 16_000n,
      })
      const latencyMs = performance.now() - startedAt
      const isSteady = startedIn === this.phase && startedIn % 2 === 0
      ;(isSteady ? this.steady : this.duringSwap).record(latencyMs)
      const { output, stateN } = outputs as { output: Tensor<'float32'>; stateN: Tensor<'float32'> }
      this.#judge(index, expected, output.data[0] as number, stateN.data)
    } catch (error) {
      const code = isRuntimeError(error) ? error.code : String(error)
      this.rejected[code] = (this.rejected[code] ?? 0) + 1
      // Else callers that are always refused would keep the event loop to themselves.
      await setImmediate()
    } finally {
      this.open -= 1
    }
  }

  /** By its values an answer is of one version, since no question has the same answer from both. */
  #judge(index: number, expected: Version, probability: number, state: Float32Array): void {
    const { references } = this.#order
    const isOf = (version: Version): boolean =>
      isSameAnswer({ probability, state }, references[version]?.[index])
    const giver = isOf(expected) ? expected : VERSIONS.find(isOf)
    if (giver === undefined) this.foreign += 1
    else this.answered[giver] += 1
    if (giver !== undefined && giver !== expected) this.wrongVersion += 1
  }
}
