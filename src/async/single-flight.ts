/** Work that happens once: whoever asks, also from within it, gets the one promise. */
export class SingleFlight<T> {
  #promise: Promise<T> | undefined

  get promise(): Promise<T> | undefined {
    return this.#promise
  }

  run(work: () => Promise<T>): Promise<T> {
    if (this.#promise !== undefined) return this.#promise
    let begin: (() => void) | undefined
    // There before the work begins, since that may ask for it itself.
    this.#promise = new Promise<T>((resolve, reject) => {
      begin = () => void work().then(resolve, reject)
    })
    begin?.()
    return this.#promise
  }
}
