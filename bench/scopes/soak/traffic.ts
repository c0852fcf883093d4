import { isRuntimeError, type PredictOptions, type Runtime } from 'tbcoin-engine'
import { LatencyLog } from '../../harness/latency.js'
import { isSameOutputs, type PlainInput, type PlainOutputs } from '../../subjects/plain.js'
import { inputsOf } from '../../subjects/subjects.js'
import type { SoakModel } from './order.js'

const TICK_MS = 5
/** Period of unusual options: one request in 20 each has a short deadline, a signal, a priority, or no batching. */
const OPTIONS_EVERY = 20
const SHORT_MS = 2

/** Requests to one model at a constant rate, some of them with unusual options; each is counted until it settles. */
export class SoakTraffic {
  submitted = 0
  completed = 0
  open = 0
  compared = 0
  wrong = 0
  readonly rejected: Record<string, number> = {}
  log = new LatencyLog()
  readonly #runtime: Runtime
  readonly #model: SoakModel
  readonly #inputs: readonly PlainInput[]
  readonly #timer: NodeJS.Timeout
  readonly #startedAtMs = performance.now()

  constructor(runtime: Runtime, model: SoakModel) {
    this.#runtime = runtime
    this.#model = model
    this.#inputs = inputsOf(model.subject)
    this.#timer = setInterval(() => this.#send(), TICK_MS)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #send(): void {
    const due = ((performance.now() - this.#startedAtMs) / 1_000) * this.#model.ratePerSecond
    while (this.submitted < due) void this.#sendOne(this.submitted % this.#inputs.length)
  }

  async #sendOne(index: number): Promise<void> {
    this.submitted += 1
    this.open += 1
    const sentAtMs = performance.now()
    try {
      const input = this.#inputs[index] as PlainInput
      const outputs = await this.#runtime.predict(this.#model.subject, input, this.#options())
      this.log.record(performance.now() - sentAtMs)
      this.completed += 1
      this.#compare(index, outputs)
    } catch (error) {
      const code = isRuntimeError(error) ? error.code : String(error)
      this.rejected[code] = (this.rejected[code] ?? 0) + 1
    } finally {
      this.open -= 1
    }
  }

  #options(): PredictOptions {
    switch (this.submitted % OPTIONS_EVERY) {
      case 1:
        return { timeoutMs: SHORT_MS }
      case 2:
        return { signal: AbortSignal.timeout(SHORT_MS) }
      case 3:
        return { priority: 1 }
      case 4:
        return { batch: false }
      default:
        return {}
    }
  }

  /** Compares with the outputs of every version; the swap bench checks which version was active. */
  #compare(index: number, outputs: PlainOutputs): void {
    this.compared += 1
    const isRight = this.#model.references.some((reference) =>
      isSameOutputs(outputs, reference[index] as PlainOutputs),
    )
    if (!isRight) this.wrong += 1
  }
}
