import { setImmediate } from 'node:timers/promises'
import { isRuntimeError, type Runtime, type Tensor } from 'tbcoin-engine'
import { isSameAnswer } from '../../../examples/speech/judge.js'
import { Latencies } from '../../harness/latency.js'
import { type SwapInput, type SwapOrder, VERSIONS, type Version } from './order.js'

/** Callers in a closed loop, which check the version of all outputs. */
export class SwapCallers {
  submitted = 0
  open = 0
  readonly completed: Record<Version, number> = { '5': 0, '6': 0 }
  readonly rejected: Record<string, number> = {}
  wrongVersion = 0
  unknownOutputs = 0
  readonly duringSwap = new Latencies()
  readonly steady = new Latencies()
  /** Number of begun and ended swaps: odd during a swap. */
  phase = 0
  readonly #runtime: Runtime
  readonly #order: SwapOrder
  #active: Version = '5'
  #running: Promise<unknown> = Promise.resolve()
  #isPaused = true

  constructor(runtime: Runtime, order: SwapOrder) {
    this.#runtime = runtime
    this.#order = order
    // The event is emitted in the same tick as the promotion, so that it shows which version admits a request.
    runtime.on('promoted', ({ to }) => {
      this.#active = to as Version
    })
  }

  get settled(): number {
    return this.submitted - this.open
  }

  resume(): void {
    this.#isPaused = false
    const { callers, inputs } = this.#order
    this.#running = Promise.all(
      Array.from({ length: callers }, async (_, caller) => {
        // Callers take different inputs as long as there are enough of them.
        for (let index = caller; !this.#isPaused; index += callers) await this.#sendOne(index % inputs.length)
      }),
    )
  }

  /** Resolves when no request is open. */
  async pause(): Promise<void> {
    this.#isPaused = true
    await this.#running
  }

  async #sendOne(index: number): Promise<void> {
    const { model, inputs } = this.#order
    const { input, state } = inputs[index] as SwapInput
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
      this.#check(index, expected, output.data[0] as number, stateN.data)
    } catch (error) {
      const code = isRuntimeError(error) ? error.code : String(error)
      this.rejected[code] = (this.rejected[code] ?? 0) + 1
      // Otherwise callers whose requests are rejected at once would block the event loop.
      await setImmediate()
    } finally {
      this.open -= 1
    }
  }

  /** Finds the version by the values of the outputs, which differ between the versions for every input. */
  #check(index: number, expected: Version, probability: number, state: Float32Array): void {
    const { references } = this.#order
    const isOf = (candidate: Version): boolean =>
      isSameAnswer({ probability, state }, references[candidate]?.[index])
    const version = isOf(expected) ? expected : VERSIONS.find(isOf)
    if (version === undefined) this.unknownOutputs += 1
    else this.completed[version] += 1
    if (version !== undefined && version !== expected) this.wrongVersion += 1
  }
}
