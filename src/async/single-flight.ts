/** Work that runs once: every caller of `run`, including the work itself, gets the same promise. */
export class SingleFlight<T> {
  #promise: Promise<T> | undefined

  get promise(): Promise<T> | undefined {
    return this.#promise
  }

  run(work: () => Promise<T>): Promise<T> {
    if (this.#promise !== undefined) return this.#promise
    let begin: (() => void) | undefined
    // The promise exists before the work begins, because the work may call `run` itself.
    this.#promise = new Promise<T>((resolve, reject) => {
      begin = () => void work().then(resolve, reject)
    })
    begin?.()
    return this.#promise
  }
}
