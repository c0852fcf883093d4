/** The load that the requests of a cold version wait for together. */
export class SharedLoad {
  #load: Promise<void> | undefined
  #refusal: unknown

  /** True while requests wait. */
  get isAwaited(): boolean {
    return this.#load !== undefined
  }

  /** Returns the load, begun by `start` if there is none. */
  join(start: () => Promise<void>): Promise<void> {
    this.#load ??= start().finally(() => {
      this.#load = undefined
    })
    return this.#load
  }

  /** Has the requests that wait now refused because of `cause`. */
  refuse(cause: unknown): void {
    if (this.isAwaited) this.#refusal = cause
  }

  /** Returns the cause of a refusal, once; undefined if the requests are not refused. */
  takeRefusal(): unknown {
    const refusal = this.#refusal
    this.#refusal = undefined
    return refusal
  }
}
