import { CELL_COUNT, INSIDE_NATIVE, OUTSIDE_NATIVE, RUN, STATE, STOP } from '../src/protocol/guard-cells.js'

/**
 * The worker's half of the guard: one chain for all native calls of this thread.
 * Two guarded calls must never overlap, since the end of the first would clear the
 * flag while the second is still to come (`session.run` only starts in a later tick).
 */
export class NativeLane {
  readonly #cells: Int32Array
  #tail: Promise<unknown> = Promise.resolve()

  constructor(guard: SharedArrayBuffer) {
    this.#cells = new Int32Array(guard, 0, CELL_COUNT)
    // A thread that dies between two calls must not look busy to the exit hook for its whole budget.
    process.on('exit', () => this.#leave())
  }

  /** Tells the main thread which run of its pack this one begins. */
  begin(run: number): void {
    Atomics.store(this.#cells, RUN, run)
  }

  /** Runs `call` after all earlier ones, and never once the main thread has asked to stop. */
  run<T>(call: () => T | Promise<T>): Promise<T> {
    const result = this.#tail.then(() => this.#guarded(call))
    this.#tail = result.catch(() => undefined)
    return result
  }

  async #guarded<T>(call: () => T | Promise<T>): Promise<T> {
    Atomics.store(this.#cells, STATE, INSIDE_NATIVE)
    if (Atomics.load(this.#cells, STOP) !== 0) this.#park()
    try {
      return await call()
    } finally {
      this.#leave()
      if (Atomics.load(this.#cells, STOP) !== 0) this.#park()
    }
  }

  #leave(): void {
    Atomics.store(this.#cells, STATE, OUTSIDE_NATIVE)
    Atomics.notify(this.#cells, STATE)
  }

  /** Waits to be terminated: a thread in Atomics.wait is in JavaScript, where that is safe. */
  #park(): never {
    this.#leave()
    for (;;) Atomics.wait(this.#cells, STOP, 1)
  }
}
