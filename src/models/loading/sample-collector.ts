import type { Clock, Timer } from '../../platform/clock.js'
import type { RunRequest } from '../../pools/queue/run-request.js'
import { bytesOf, copyOf } from '../../tensors/input/copies.js'
import type { Tensor } from '../../tensors/tensor.js'

/** So many requests are kept, or as many as have been answered so long after the first. */
const SAMPLE_COUNT = 3
const WAIT_MS = 1_000
/** Larger inputs are not kept. */
const MAX_BYTES = 32 * 2 ** 20

/** Keeps the inputs of the first requests that are answered: they are known to be valid. */
export class SampleCollector {
  readonly #clock: Clock
  readonly #onReady: (samples: readonly (readonly Tensor[])[]) => void
  #samples: (readonly Tensor[])[] = []
  /** Kept, whether answered yet or not. */
  #keptCount = 0
  #bytes = 0
  #timer: Timer | undefined
  #isClosed = false

  /** `onReady` is called once, with one sample at least, unless `cancel` comes before. */
  constructor(clock: Clock, onReady: (samples: readonly (readonly Tensor[])[]) => void) {
    this.#clock = clock
    this.#onReady = onReady
  }

  /** A request whose input has been checked, before it goes to a pool. */
  offer(request: RunRequest): void {
    const inputs = request.inputs as readonly Tensor[]
    if (this.#isClosed || this.#keptCount === SAMPLE_COUNT || this.#bytes + bytesOf(inputs) > MAX_BYTES)
      return
    const copies = copiesOf(inputs)
    if (copies === undefined) return
    this.#keptCount += 1
    this.#bytes += bytesOf(copies)
    request.promise.then(
      () => this.#add(copies),
      () => {
        this.#keptCount -= 1
        this.#bytes -= bytesOf(copies)
      },
    )
  }

  cancel(): void {
    this.#isClosed = true
    this.#samples = []
    this.#clock.clear(this.#timer)
  }

  #add(inputs: readonly Tensor[]): void {
    if (this.#isClosed) return
    this.#samples.push(inputs)
    if (this.#samples.length === SAMPLE_COUNT) this.#end()
    else this.#timer ??= this.#clock.setTimeout(() => this.#end(), WAIT_MS).unref()
  }

  #end(): void {
    if (this.#isClosed) return
    const samples = this.#samples
    this.cancel()
    this.#onReady(samples)
  }
}

/** Undefined if there is no memory for them, which is no reason to refuse the request. */
function copiesOf(inputs: readonly Tensor[]): Tensor[] | undefined {
  try {
    return inputs.map(copyOf)
  } catch {
    return undefined
  }
}
