interface Waiter {
  resolve(): void
  reject(error: Error): void
}

/** A list of callers that wait for something to change. */
export class Waiters {
  #waiting: Waiter[] = []

  /** Resolves at the next `wake`, or rejects at the next `fail`. */
  wait(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
    })
  }

  wake(): void {
    for (const { resolve } of this.#waiting.splice(0)) resolve()
  }

  fail(error: Error): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error)
  }
}
