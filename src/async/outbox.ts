/**
 * Defers calls to listeners while an operation is under way, so that a listener that calls back never sees a
 * half-made state. Operations nest; the calls are made in order when the outermost one ends.
 */
export class Outbox {
  #operations = 0
  readonly #calls: (() => void)[] = []

  /** Begins an operation, which `release` ends. */
  hold(): void {
    this.#operations += 1
  }

  release(): void {
    this.#operations -= 1
    if (this.#operations === 0) this.deliver()
  }

  /** Runs `work` as one operation. */
  during<T>(work: () => T): T {
    this.hold()
    try {
      return work()
    } finally {
      this.release()
    }
  }

  /** Makes `call` as soon as no operation is under way. `call` must not throw. */
  post(call: () => void): void {
    this.#calls.push(call)
    if (this.#operations === 0) this.deliver()
  }

  /** Makes the deferred calls, in the middle of an operation whose state is complete at this point. */
  deliver(): void {
    if (this.#calls.length === 0) return
    // A listener begins operations of its own. If each of these ends with another one, the stack overflows and the
    // error is logged; without the reset, this loop would never end.
    const operations = this.#operations
    this.#operations = 0
    try {
      for (let call = this.#calls.shift(); call !== undefined; call = this.#calls.shift()) call()
    } finally {
      this.#operations = operations
    }
  }
}
