import type { Clock, Timer } from '../../platform/clock.js'
import type { RunRequest } from '../../pools/queue/run-request.js'
import { bytesOf, copyOf } from '../../tensors/input/copies.js'
import type { Tensor } from '../../tensors/tensor.js'

/** Number of samples to collect, or fewer if `WAIT_MS` has passed since the first. */
const SAMPLE_COUNT = 3
const WAIT_MS = 1_000
/** Limit of all samples together; a request that would exceed it is not kept. */
const MAX_BYTES = 32 * 2 ** 20

/** Keeps the inputs of the first requests that succeed, since those are known to be valid. */
export class SampleCollector {
  readonly #clock: Clock
  readonly #onReady: (samples: readonly (readonly Tensor[])[]) => void
  #samples: (readonly Tensor[])[] = []
  /** Number of requests whose inputs are kept, with those that still run. */
  #keptCount = 0
  #bytes = 0
  #timer: Timer | undefined
  #isClosed = false

  /** @param onReady is called once, with at least one sample, unless `cancel` is called first. */
  constructor(clock: Clock, onReady: (samples: readonly (readonly Tensor[])[]) => void) {
    this.#clock = clock
    this.#onReady = onReady
  }

  /** Copies the inputs of `request`, which have been checked; they become a sample if the request succeeds. */
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

  /** Takes no more samples, and drops those that it has. */
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

/** Returns copies of the inputs; undefined if there is no memory for them, which must not fail the request. */
function copiesOf(inputs: readonly Tensor[]): Tensor[] | undefined {
  try {
    return inputs.map(copyOf)
  } catch {
    return undefined
  }
}
