/**
 * Keeps calls of listeners back while an operation is under way, so that a listener that calls back never
 * meets a state that is half made. Operations nest; the calls are made in order when the outermost one ends.
 */
export class Outbox {
  #operations = 0
  readonly #calls: (() => void)[] = []

  /** Begins an operation; `release` ends it. */
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

  /** Makes a call, which must not throw, as soon as no operation is under way. */
  post(call: () => void): void {
    this.#calls.push(call)
    if (this.#operations === 0) this.deliver()
  }

  /** Makes the calls that wait, in the middle of an operation whose state is complete at this point. */
  deliver(): void {
    if (this.#calls.length === 0) return
    // A listener begins operations of its own. One that ends each of them by another one then
    // runs out of stack, and is logged, instead of keeping this loop going for ever.
    const operations = this.#operations
    this.#operations = 0
    try {
      for (let call = this.#calls.shift(); call !== undefined; call = this.#calls.shift()) call()
    } finally {
      this.#operations = operations
    }
  }
}
